"""The command line in this process, with a lab that is on disk and a backend that only remembers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dmvpn_lab import __main__, controller, running
from dmvpn_lab.backends import state
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import bundled


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def recorder() -> Recorder:
    """The backend of every lab."""
    return Recorder()


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    recorder: Recorder,
) -> Run:
    """Run a command as `dmvpn-lab` does on a kernel with GRE."""
    monkeypatch.setenv("DMVPN_LAB_INSIDE_MACHINE", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(state, "LABS", tmp_path / "run" / "labs")
    for module in (controller, running):
        monkeypatch.setattr(module, "backend", lambda name: recorder)

    def command(*argv: str) -> Said:
        capfd.readouterr()
        code = __main__.run(list(argv))
        captured = capfd.readouterr()
        return Said(code, captured.out, captured.err)

    return command


@pytest.fixture
def deck(run: Run) -> Plan:
    """The deck's lab, as a running one is remembered."""
    return remembered("hub-and-spoke")


def remembered(name: str) -> Plan:
    """Put a bundled lab where running labs are."""
    plan = bundled(name)
    folder = LabFolder(plan.lab)
    folder.create()
    folder.write_plan(plan)
    folder.write_json("backend", "netns")
    return plan
