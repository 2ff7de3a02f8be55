"""Labs that several live tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.machine import within
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import backends, labs

IN_THE_MACHINE = within.token(Path("/proc/cmdline").read_text()) != ""

collect_ignore = [
    *([] if "containerlab" in backends.HERE else ["test_adopt.py", "test_external.py"]),
    *([] if IN_THE_MACHINE else ["test_first_users.py"]),
]


def pytest_report_header() -> list[str]:
    """Say what is left out."""
    elsewhere = None if IN_THE_MACHINE else "deselected: a test of the machine, which this host is not"
    return [line for line in (backends.left_out(), elsewhere) if line is not None]


@pytest.fixture(scope="session")
def deck(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> LiveLab:
    """The deck's lab, up for the whole session. A test's faults are undone after it."""
    path = labs.topology(tmp_path_factory.mktemp("deck"), "hub-and-spoke", "test-deck")
    return dmvpn_labs.get(str(path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test writes its topologies."""
    return tmp_path
