"""Faults that the commands of `inject` do: each does what it says, and the lab is whole again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab

SETTINGS = (
    ("lab: phase-3\n", "lab: faults\n"),
    ("holding-time: 600\n", "holding-time: 30\n"),
)


@pytest.fixture(scope="module")
def lab(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    """The lab of phase 3 with a holding time of 30 s."""
    from dmvpn_lab.controller import find_topology

    text = find_topology("phase-3").read_text()
    for old, new in SETTINGS:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("faults") / "faults.yml"
    path.write_text(text)
    with dmvpn_labs.running(str(path)) as running:
        running.check("registration")
        yield running


def rtt_ms(lab: LiveLab) -> float:
    """The shortest round trip from spoke A to the hub's NBMA address."""
    said = lab.must("spoke-a", "ping", "-n", "-c", "3", "-i", "0.2", "172.17.0.1")
    found = re.search(r"= ([0-9.]+)/", said)
    assert found is not None, said
    return float(found[1])


def test_a_line_that_is_cut_takes_the_spoke_away_and_it_comes_back(lab: LiveLab) -> None:
    lab.link_down("spoke-a")
    lab.wait_for_event("peer-expired", 60, node="hub", protocol="10.0.0.11")
    lab.undo()
    lab.check("registration")


def test_an_impaired_line_is_slow_both_ways_and_then_as_before(lab: LiveLab) -> None:
    lab.impair("spoke-a", delay_ms=200)
    assert rtt_ms(lab) >= 400
    lab.undo()
    assert rtt_ms(lab) < 400


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_an_agent_that_ends_is_not_missed(lab: LiveLab, way: str) -> None:
    for outage in lab.outage("agent-kill", "hub", way):
        assert outage.lost == 0, outage


@pytest.mark.long
def test_a_hub_that_has_forgotten_everybody_has_them_back_by_a_third_of_the_holding_time(
    lab: LiveLab,
) -> None:
    assert {each.spoke for each in lab.outage("hub-restart", "hub")} == {"spoke-a", "spoke-b"}
    lab.check("registration")


@pytest.mark.long
def test_entries_that_run_out_come_back_when_their_owners_renew(lab: LiveLab) -> None:
    lab.outage("expire", "hub")
    assert len(lab.events("peer-expired", node="hub")) == 2


def test_a_spoke_that_leaves_is_forgotten_at_once_and_comes_back(lab: LiveLab) -> None:
    lab.outage("agent-kill", "spoke-a", "leave")
    (purge,) = lab.events("purge-sent", node="spoke-a")
    gone = lab.events("peer-expired", node="hub", protocol="10.0.0.11")
    assert gone[0]["at"] - purge["at"] < 5
    lab.check("registration")
