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

NAME = "test-nat-conflict"
SPOKES = ("spoke-a", "spoke-b")
PUBLIC = "172.17.0.254"
"""The ISP's address on the hub's line, by which it masquerades spokes."""
NAT = """
    add table ip nat
    add chain ip nat untracked { type filter hook prerouting priority raw; }
    add rule ip nat untracked iifname "eth1" ip daddr { 172.16.1.0/24, 172.16.2.0/24 } notrack
    add chain ip nat out { type nat hook postrouting priority srcnat; }
    add rule ip nat out iifname { "eth2", "eth3" } oifname "eth1" masquerade
"""
"""In one transaction. What the hub sends to the spokes' own addresses is not tracked: it would open a flow
to which the spoke's packets are answers, and answers are not masqueraded. Before it nothing is tracked."""


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
        made.must("isp", "nft", NAT)
        for spoke in SPOKES:  # SAs of before do not pass the NAT, so they end
            made.must(spoke, "swanctl", "--terminate", "--ike", "peer-172.17.0.1", "--force")
        yield made


def encryption(lab: Lab) -> list[CheckResult]:
    """The one check; the others do not know of this NAT, which no topology has."""

    async def collect() -> list[CheckResult]:
        async with watching(lab.running) as watch:
            return [result async for result in Encryption().run(lab.running, watch)]

    return asyncio.run(collect())


def test_two_spokes_behind_one_address_are_told_and_named(lab: Lab) -> None:
    finding = until(lab, "spoke-a", "SA", "behind one address")
    for spoke in SPOKES:
        assert f"{spoke}.{NAME}.test" in finding["evidence"]
    code, said = lab.cli("events", "--json")
    assert code == 0
    conflicts = [e for e in map(json.loads, said.splitlines()) if e["event"] == "ipsec-conflict"]
    assert conflicts
    assert conflicts[-1]["nbma"] == PUBLIC
    assert conflicts[-1]["identities"] == [f"{spoke}.{NAME}.test" for spoke in SPOKES]
    red = [r for r in encryption(lab) if not r.passed]
    assert any("behind one address" in r.observed for r in red), red


def test_nothing_was_in_clear_behind_the_nat_either(lab: Lab, lines: LineWatch) -> None:
    assert lines.lost == 0
    assert [packet for packet in lines.packets if packet.protocol == GRE] == []
    assert any(packet.protocol == ESP for packet in lines.packets)
