"""Runs the contract over each backend: the deck's lab on it, for all tests of the contract."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from dmvpn_lab.backends import NAMES
from dmvpn_lab.backends.containerlab import PROGRAM
from dmvpn_lab.testing import Labs, LiveLab

HERE = [
    # In an emulated machine a lab on Docker takes many minutes.
    pytest.param(name, marks=pytest.mark.long) if name == "docker" else name
    for name in NAMES
    if name != "containerlab" or shutil.which(PROGRAM)
]
"""containerlab's own program is not part of this project; its backend is tried where it is installed."""


def pytest_report_header() -> str | None:
    """Say what is left out."""
    return None if shutil.which(PROGRAM) else f"deselected: the contract over {PROGRAM}, which is not here"


@pytest.fixture(scope="session", params=HERE)
def dmvpn_lab(request: pytest.FixtureRequest, dmvpn_labs: Labs) -> Iterator[LiveLab]:
    """The deck's lab on one backend."""
    with dmvpn_labs.running("hub-and-spoke", request.param) as lab:
        yield lab
