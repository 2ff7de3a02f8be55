"""Two spokes behind one NAT address, which no topology may have: IPsec can reach only one, and says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmvpn_lab.running import Event
from dmvpn_lab.testing import CheckFailed, Labs, LiveLab
from tests.live import labs
from tests.live.line_watch import ESP, GRE, LineWatch, line_watch
from tests.live.test_diagnose import PATIENCE_S, until

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
def lab(lines: LineWatch, dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = labs.topology(tmp_path_factory.mktemp("nat"), "ipsec", NAME)
    with dmvpn_labs.running(str(path)) as made:
        assert lines.opened.is_set()
        made.check("encryption")
        made.must("isp", "nft", NAT)
        for spoke in SPOKES:  # SAs of before do not pass the NAT, so they end
            made.must(spoke, "swanctl", "--terminate", "--ike", "peer-172.17.0.1", "--force")
        yield made
    assert labs.left_behind(NAME) == []


def told(lab: LiveLab) -> list[Event]:
    """The hub's events of a conflict, those of before the test too; two SAs have to stay for a while."""
    return [event for event in lab.run(lab.lab.past("hub")) if event["event"] == "ipsec-conflict"]


def test_two_spokes_behind_one_address_are_told_and_named(lab: LiveLab) -> None:
    finding = until(lab, "spoke-a", "SA", "behind one address")
    for spoke in SPOKES:
        assert f"{spoke}.{NAME}.test" in finding["evidence"]
    conflicts = lab.wait_for(lambda: told(lab), PATIENCE_S, what="an event of the conflict")
    assert conflicts[-1]["nbma"] == PUBLIC
    assert conflicts[-1]["identities"] == [f"{spoke}.{NAME}.test" for spoke in SPOKES]
    with pytest.raises(CheckFailed) as red:  # the other checks do not know of this NAT
        lab.check("encryption")
    assert any("behind one address" in r.observed for r in red.value.results), red.value


def test_nothing_was_in_clear_behind_the_nat_either(lab: LiveLab, lines: LineWatch) -> None:
    assert lines.lost == 0
    assert [packet for packet in lines.packets if packet.protocol == GRE] == []
    assert any(packet.protocol == ESP for packet in lines.packets)
