"""Our EIGRP and FRR's eigrpd with one MD5 key: how far eigrpd 10.3 goes.

It signs what it sends, and rightly. What it hears it drops without a word, be it from us or from another
eigrpd: it reads the type of authentication in the host's order of octets, so that on a little-endian
processor there is none that it knows. Its keys are set while it runs: of a configuration file it refuses
what names an interface that is not in EIGRP yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.live.agents import Router
from tests.live.frr import SPACE, Frr, eventually
from tests.live.namespaces import Netns, wire
from tests.live.test_eigrp_authentication import MD5, counters
from tests.live.test_eigrp_frr import couple

pytestmark = [pytest.mark.live, pytest.mark.long]
KEYS = """key chain keys
 key 1
  key-string secret
 exit
exit
!
interface eth1
 ip authentication key-chain eigrp 1 keys
 ip authentication mode eigrp 1 md5
!
"""
EIGRPD = """hostname peer
!
router eigrp 1
 eigrp router-id {router_id}
 network 172.16.1.0/24
 network {lan}
!
"""
THEIRS = KEYS + EIGRPD.format(router_id="172.16.1.254", lan="192.168.50.0/24")
HELLOS = ("sent-hello", "received-hello")
EXPIRED = "is down: holding time expired"


def says_expired(frr: Frr) -> bool:
    """Whether it has lost its neighbour."""
    return EXPIRED in frr.log


def with_key(frr: Frr, interface: str, secret: str) -> None:
    """Let a running eigrpd sign."""
    frr.configure("key chain keys", "key 1", f"key-string {secret}", "exit", "exit")
    frr.configure(f"interface {interface}", "ip authentication key-chain eigrp 1 keys",
                  "ip authentication mode eigrp 1 md5")  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Router, Frr]]:
    with couple(tmp_path, THEIRS, authentication=MD5) as made:
        yield made


def test_what_eigrpd_signs_is_authentic_to_us_and_what_we_sign_is_not_heard(
    pair: tuple[Router, Frr],
) -> None:
    ours, frr = pair
    control = ours.start()
    # The keys of its file are not used.
    eventually(lambda: counters(control).get("auth-missing", 0) >= 2, lambda: counters(control))
    assert control.query("eigrp-neighbors") == []
    with_key(frr, "eth1", "secret")
    eventually(lambda: [n["address"] for n in control.query("eigrp-neighbors")] == ["172.16.1.254"],
               lambda: (counters(control), frr.log))  # fmt: skip
    before = counters(control)
    eventually(lambda: all(counters(control)[each] >= before[each] + 3 for each in HELLOS))
    assert [n["up"] for n in control.query("eigrp-neighbors")] == [False]
    assert "172.16.1.1 " not in frr.show("neighbor")
    assert "new adjacency" not in frr.log
    assert counters(control).get("auth-wrong-digest", 0) == 0


def test_what_eigrpd_signs_with_another_key_is_not(pair: tuple[Router, Frr]) -> None:
    ours, frr = pair
    with_key(frr, "eth1", "other")
    control = ours.start()
    eventually(lambda: counters(control).get("auth-wrong-digest", 0) >= 2, lambda: counters(control))
    assert control.query("eigrp-neighbors") == []


def test_two_eigrpds_with_one_key_do_not_hear_each_other_either(tmp_path: Path) -> None:
    ends = [Netns(), Netns()]
    frrs: list[Frr] = []
    wire(ends[0], "eth1", ends[1], "eth1")
    try:
        for number, netns in enumerate(ends, 1):
            netns.add("eth1", f"172.16.1.{number}/24")
            text = EIGRPD.format(router_id=f"172.16.1.{number}", lan="192.168.50.0/24")
            frrs.append(Frr(netns, tmp_path, text, space=f"{SPACE}-{number}"))
        eventually(lambda: "172.16.1.2" in frrs[0].show("neighbor"))
        for frr in frrs:
            with_key(frr, "eth1", "secret")
        for frr in frrs:
            eventually(partial(says_expired, frr), lambda: frrs[0].log + frrs[1].log)
            assert "172.16.1." not in frr.show("neighbor")
    finally:
        for frr in frrs:
            frr.close()
        for netns in ends:
            netns.close()
