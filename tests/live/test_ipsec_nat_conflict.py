"""Two spokes behind one NAT address, which no topology may have: IPsec can reach only one, and says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from dmvpn_lab.checks import CheckResult
from dmvpn_lab.checks.encryption import Encryption
from dmvpn_lab.running import watching
from tests.live import labs
from tests.live.labs import Lab
from tests.live.line_watch import ESP, GRE, LineWatch, line_watch
from tests.live.test_diagnose import until

pytestmark = [pytest.mark.live, pytest.mark.long]

NAME = "test-nat"
PUBLIC = "172.17.0.254"
"""The ISP's address on the hub's line, by which it masquerades spokes."""
SPOKE_B = "172.16.2.1"
NAT_T_PORT = 4500
FIRST = """
    add table ip nat
    add chain ip nat tracked { type filter hook prerouting priority raw; }
    add rule ip nat tracked iifname "eth3" notrack
    add rule ip nat tracked ip daddr 172.16.2.0/24 notrack
    add chain ip nat out { type nat hook postrouting priority srcnat; }
    add rule ip nat out iifname "eth2" oifname "eth1" masquerade
"""
SECOND = """
    flush chain ip nat tracked
    add rule ip nat out iifname "eth3" oifname "eth1" masquerade
"""
"""Each in one transaction: a flow that was tracked before its NAT goes on without it."""


@pytest.fixture(scope="module")
def lines() -> Iterator[LineWatch]:
    with line_watch(NAME) as watch:
        yield watch


@pytest.fixture(scope="module")
def lab(lines: LineWatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    path = labs.topology(tmp_path_factory.mktemp("nat"), "ipsec", NAME)
    with labs.running(path) as made:
        assert lines.opened.is_set()
        assert [r.observed for r in encryption(made) if not r.passed] == []
        hide(made, "spoke-a", FIRST)
        yield made


def hide(lab: Lab, spoke: str, rules: str) -> None:
    """Put a spoke behind the ISP's address; its SAs of before do not pass the NAT, so they end."""
    lab.must("isp", "nft", rules)
    done = lab.exec(spoke, "swanctl", "--terminate", "--ike", "peer-172.17.0.1", "--force")
    assert done.exit_code == 0, done.stdout + done.stderr


def encryption(lab: Lab) -> list[CheckResult]:
    """The one check; the others do not know of this NAT, which no topology has."""

    async def collect() -> list[CheckResult]:
        async with watching(lab.running) as watch:
            return [result async for result in Encryption().run(lab.running, watch)]

    return asyncio.run(collect())


def reach(lab: Lab) -> None:
    """The host behind the hidden spoke reaches the others."""
    for far in ("192.168.0.2", "192.168.2.2"):
        lab.must("host-1", "ping", "-n", "-c", "3", "-W", "3", far)


def test_a_spoke_behind_a_nat_is_protected_in_udp_and_reached_at_the_nats_address(
    lab: Lab, lines: LineWatch
) -> None:
    assert [r.observed for r in encryption(lab) if not r.passed] == []
    reach(lab)
    (sa,) = lab.query("spoke-a", "ipsec")
    assert sa["encapsulated"]
    at_hub = {entry["nbma"]: entry for entry in lab.query("hub", "ipsec")}
    assert at_hub[PUBLIC]["encapsulated"]
    assert at_hub[PUBLIC]["identity"] == f"spoke-a.{NAME}.test"
    assert not at_hub[SPOKE_B]["encapsulated"]
    bound = {entry["protocol"]: entry["nbma"] for entry in lab.query("hub", "nhrp")}
    assert bound == {"10.0.0.11": PUBLIC, "10.0.0.12": SPOKE_B}
    assert any(p.port == NAT_T_PORT and p.source == PUBLIC for p in lines.packets)


def test_two_spokes_behind_one_address_are_told_and_named(lab: Lab) -> None:
    hide(lab, "spoke-b", SECOND)
    finding = until(lab, "spoke-a", "SA", "behind one address")
    for spoke in ("spoke-a", "spoke-b"):
        assert f"{spoke}.{NAME}.test" in finding["evidence"]
    code, said = lab.cli("events", "--json")
    assert code == 0
    conflicts = [e for e in map(json.loads, said.splitlines()) if e["event"] == "ipsec-conflict"]
    assert conflicts
    assert conflicts[-1]["nbma"] == PUBLIC
    assert conflicts[-1]["identities"] == [f"spoke-a.{NAME}.test", f"spoke-b.{NAME}.test"]
    red = [r for r in encryption(lab) if not r.passed]
    assert any("behind one address" in r.observed for r in red), red


def test_nothing_was_in_clear_behind_the_nat_either(lab: Lab, lines: LineWatch) -> None:
    assert lines.lost == 0
    assert [packet for packet in lines.packets if packet.protocol == GRE] == []
    assert any(packet.protocol == ESP for packet in lines.packets)
