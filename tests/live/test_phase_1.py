"""Point-to-point GRE on the spokes: no direct tunnel between spokes, whatever NHRP could resolve."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmvpn_lab.checks.reachability import trace
from dmvpn_lab.testing import Labs, LiveLab

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def phase_1(dmvpn_labs: Labs) -> Iterator[LiveLab]:
    with dmvpn_labs.running("phase-1") as lab:
        yield lab


def test_every_check_passes(phase_1: LiveLab) -> None:
    assert {r.name for r in phase_1.verify()} >= {"registration", "reachability"}


def test_a_spokes_tunnel_has_one_end_and_the_hubs_has_none(phase_1: LiveLab) -> None:
    assert "remote 172.17.0.1" in phase_1.must("spoke-a", "ip", "-d", "link", "show", "tunnel0")
    assert "remote any" in phase_1.must("hub", "ip", "-d", "link", "show", "tunnel0")


def test_a_packet_to_the_other_spoke_passes_the_hub(phase_1: LiveLab) -> None:
    phase_1.verify()
    hops = phase_1.run(trace(phase_1.lab, "spoke-a", "10.0.0.12"))
    assert hops == ["10.0.0.1", "10.0.0.12"]


def test_a_map_of_the_other_spoke_changes_nothing(phase_1: LiveLab) -> None:
    """What a resolution would install is of no use to a point-to-point tunnel."""
    phase_1.verify()
    phase_1.exec("spoke-a", "ip", "neigh", "replace", "10.0.0.12", "lladdr", "172.16.2.1", "dev", "tunnel0")
    hops = phase_1.run(trace(phase_1.lab, "spoke-a", "10.0.0.12"))
    assert hops == ["10.0.0.1", "10.0.0.12"]


def test_an_address_change_is_followed(phase_1: LiveLab) -> None:
    recovery = phase_1.address_change("spoke-b")
    assert [step.step for step in recovery.steps] == ["registered", "multicast", "adjacent", "reachable"]
    phase_1.undo()
    phase_1.verify()
