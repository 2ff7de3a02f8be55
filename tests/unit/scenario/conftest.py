"""Labs whose folder is the test's."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.backends import state
from dmvpn_lab.backends.state import LabFolder
from tests.unit.scenario.fake import FakeLab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    """The deck's lab."""
    monkeypatch.setattr(state, "LABS", tmp_path / "labs")
    made = FakeLab()
    LabFolder(made.plan.lab).create()
    return made
