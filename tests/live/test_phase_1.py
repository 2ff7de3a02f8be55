"""Point-to-point GRE on the spokes: no direct tunnel between spokes, whatever NHRP could resolve."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmvpn_lab.checks.reachability import trace
from tests.live import labs
from tests.live.labs import Lab

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def phase_1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder: Path = tmp_path_factory.mktemp("phase-1")
    with labs.running(labs.topology(folder, "phase-1", "test-phase-1")) as lab:
        yield lab


def test_every_check_passes(phase_1: Lab) -> None:
    assert [f"{r.name} {r.node}: {r.observed}" for r in phase_1.verify() if not r.passed] == []


def test_a_spokes_tunnel_has_one_end_and_the_hubs_has_none(phase_1: Lab) -> None:
    assert "remote 172.17.0.1" in phase_1.must("spoke-a", "ip", "-d", "link", "show", "tunnel0")
    assert "remote any" in phase_1.must("hub", "ip", "-d", "link", "show", "tunnel0")


def test_a_packet_to_the_other_spoke_passes_the_hub(phase_1: Lab) -> None:
    phase_1.verify()
    hops = asyncio.run(trace(phase_1.running, "spoke-a", "10.0.0.12"))
    assert hops == ["10.0.0.1", "10.0.0.12"]


def test_a_map_of_the_other_spoke_changes_nothing(phase_1: Lab) -> None:
    """What a resolution would install is of no use to a point-to-point tunnel."""
    phase_1.verify()
    phase_1.exec("spoke-a", "ip", "neigh", "replace", "10.0.0.12", "lladdr", "172.16.2.1", "dev", "tunnel0")
    hops = asyncio.run(trace(phase_1.running, "spoke-a", "10.0.0.12"))
    assert hops == ["10.0.0.1", "10.0.0.12"]


def test_an_address_change_is_followed(phase_1: Lab) -> None:
    steps, results = phase_1.change("spoke-b")
    assert [step.step for step in steps] == ["registered", "multicast", "adjacent", "reachable"]
    assert [r for r in results if not r.passed] == []
    _, results = phase_1.undo()
    assert [r for r in results if not r.passed] == []
