"""The deck's lab with its state in a folder of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.backends import state
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.running import RunningLab
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import bundled


@pytest.fixture
def recorder() -> Recorder:
    """What the fault did to the nodes."""
    return Recorder()


@pytest.fixture
def deck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> RunningLab:
    """The deck's lab on a backend that only remembers."""
    monkeypatch.setattr(state, "LABS", tmp_path / "labs")
    plan = bundled("hub-and-spoke")
    LabFolder(plan.lab).create()
    return RunningLab(plan, recorder)
