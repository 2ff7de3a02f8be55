"""Two spokes that begin IKE with each other at the same moment: one SA pair stays, and none is missing.

charon's scheduled ends come ten seconds later, so each round is looked at for longer than that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs
from tests.live.test_phase_3 import FAR, until

pytestmark = [pytest.mark.live, pytest.mark.long]

NAME = "test-both-begin"
SPOKES = {"spoke-a": "172.16.1.1", "spoke-b": "172.16.2.1"}
OTHER = {"spoke-a": SPOKES["spoke-b"], "spoke-b": SPOKES["spoke-a"]}
WATCHED_S = 13.0
APART = """
table inet apart {
  chain forward { type filter hook forward priority 0; udp dport { 500, 4500 } ip saddr . ip daddr {
    172.16.1.1 . 172.16.2.1, 172.16.2.1 . 172.16.1.1 } drop; }
}
"""
"""No IKE between the spokes: what each begins is still under way when it is gone."""


@pytest.fixture(scope="module")
def lab(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = labs.topology(tmp_path_factory.mktemp("both"), "ipsec-phase-3", NAME)
    with dmvpn_labs.running(str(path)) as made:
        made.verify()
        made.must("host-1", "ping", "-n", "-c", "40", "-i", "0.2", "-W", "5", FAR)
        until(made, "spoke-a", {"192.168.2.0/24": "10.0.0.12"})
        until(made, "spoke-b", {"192.168.1.0/24": "10.0.0.11"})
        yield made


def spis(lab: LiveLab, spoke: str) -> set[frozenset[str]]:
    """The SA pairs that a spoke has with the other one."""
    entries = [entry for entry in lab.show(spoke, "ipsec") if entry["nbma"] == OTHER[spoke]]
    return {frozenset((entry["spi_in"], entry["spi_out"])) for entry in entries}


def history(lab: LiveLab, spoke: str) -> list[str]:
    """What a spoke's agent told of its pairs with the other one, since the test began."""
    told = lab.events(node=spoke, nbma=OTHER[spoke])
    return [event["event"] for event in told if event["event"] in ("ipsec-up", "ipsec-down")]


def has_begun(lab: LiveLab, spoke: str) -> bool:
    """Whether a spoke's charon tries to reach the other one's."""
    listed = lab.must(spoke, "swanctl", "--list-sas", "--ike", f"peer-{OTHER[spoke]}")
    assert "CONNECTING" in listed, listed
    return True


@pytest.mark.parametrize("number", range(4))
def test_when_both_have_begun_one_pair_stays_and_none_is_missing(lab: LiveLab, number: int) -> None:
    lab.must("isp", "nft", APART)
    for spoke in SPOKES:
        lab.must(
            spoke, "swanctl", "--terminate", "--ike", f"peer-{OTHER[spoke]}", "--force", "--timeout", "0"
        )
    for spoke in SPOKES:
        lab.wait_for(lambda spoke=spoke: has_begun(lab, spoke))  # type: ignore[misc]
    lab.must("isp", "nft", "delete", "table", "inet", "apart")
    for spoke in SPOKES:
        lab.wait_for_event("ipsec-up", node=spoke, nbma=OTHER[spoke])
    time.sleep(WATCHED_S)  # what must not come in this time is what is tested
    told = {spoke: history(lab, spoke) for spoke in SPOKES}
    print(number, told)
    assert all(words[0] == "ipsec-down" and "ipsec-down" not in words[1:] for words in told.values()), told
    (pair,) = spis(lab, "spoke-a")
    assert spis(lab, "spoke-b") == {pair}
    assert max(words.count("ipsec-up") for words in told.values()) == 2, "both had begun"
