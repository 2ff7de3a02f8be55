"""Each workshop on a live lab: no task is done in the start state, and the solution does all of them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from dmvpn_lab import controller
from dmvpn_lab.workshop import load, shelf
from tests.live import labs

pytestmark = pytest.mark.live
SHORT = ("22-no-multicast",)
"""What `make test` runs too: half a minute."""
DEADLINE_S = 90.0
"""For registration and routes to come back in a lab that the solution has started anew."""
CUT_OFF = ("24-gre-dropped", "25-wrong-key")
"""In their start state nothing passes between hub and a spoke."""
NO_ADJACENCY = ("22-no-multicast",)


def observed(name: str) -> tuple[int, list[dict[str, object]]]:
    """What `workshop check` sees: exit code and tasks."""
    code, out = labs.cli("workshop", "observe", name, "--json")
    return code, json.loads(out)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in SHORT else pytest.mark.long) for n in shelf.names()]
)
def test_the_start_state_fails_the_check_and_the_solution_passes_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    lab = load.read(shelf.find(name)).plan.lab
    try:
        code, out = labs.cli("workshop", "start", name)
        assert code == 0, out
        converged(name)
        steady(name)
        code, out = labs.cli("workshop", "solve", name)
        assert code == 0, out
        passes(name)
        assert labs.cli("workshop", "check", name)[0] == 0
        kept = json.loads((tmp_path / "dmvpn-lab" / "workshops.json").read_text())
        assert kept[name]["state"] == "passed"
    finally:
        labs.down(lab)
    assert labs.left_behind(lab) == []


def converged(name: str) -> None:
    """Whatever the start state lets come has come: registrations, and adjacencies where EIGRP runs."""
    lab = controller.find(load.read(shelf.find(name)).plan.lab)
    end = time.monotonic() + DEADLINE_S
    for cloud in lab.plan.clouds:
        wanted = [] if name in CUT_OFF else ["nhrp"]
        if cloud.routing.protocol == "eigrp" and name not in (*NO_ADJACENCY, *CUT_OFF):
            wanted.append("eigrp-neighbors")
        spokes = {str(tunnel.address.ip) for _, tunnel in lab.plan.ours(cloud.name, "spoke")}
        for table, (hub, _) in ((t, h) for t in wanted for h in lab.plan.ours(cloud.name, "hub")):
            while True:
                there = asyncio.run(lab.query(hub.name, table))
                if spokes <= {e.get("address", e.get("protocol")) for e in there if e.get("up", True)}:
                    break
                assert time.monotonic() < end, there


def steady(name: str) -> None:
    """The start state stays as it is: no task is ever done."""
    end = time.monotonic() + 6.0
    while time.monotonic() < end:
        code, tasks = observed(name)
        assert code == 1, tasks
        assert not any(task["done"] for task in tasks), tasks


def passes(name: str) -> None:
    """The check passes within the deadline, without more being done."""
    end = time.monotonic() + DEADLINE_S
    while True:
        code, tasks = observed(name)
        if code == 0:
            return
        assert time.monotonic() < end, tasks
