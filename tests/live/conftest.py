"""Labs that several live tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import backends, labs

collect_ignore = [] if "containerlab" in backends.HERE else ["test_external.py"]


def pytest_report_header() -> str | None:
    """Say what is left out."""
    return backends.left_out()


@pytest.fixture(scope="session")
def deck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    """The deck's lab, up for the whole session. A test that changes it puts it back."""
    folder = tmp_path_factory.mktemp("deck")
    with labs.running(labs.topology(folder, "hub-and-spoke", "test-deck")) as lab:
        yield lab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test writes its topologies."""
    return tmp_path
