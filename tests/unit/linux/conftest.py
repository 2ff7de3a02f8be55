"""Real namespaces and links: this part needs no GRE, so it runs on any kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.live.namespaces import Netns, wire

settings.register_profile("busy host", deadline=None)
settings.load_profile("busy host")


@pytest.fixture
def netns() -> Iterator[Netns]:
    """An empty namespace."""
    made = Netns()
    yield made
    made.close()


@pytest.fixture
def pair(netns: Netns) -> Iterator[tuple[Netns, Netns]]:
    """Two namespaces with a cable between them: `near` and `far`."""
    other = Netns()
    wire(netns, "near", other, "far")
    yield netns, other
    other.close()
