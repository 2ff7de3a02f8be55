"""Hooks of the tests that run on any kernel."""

from __future__ import annotations

import pytest

from tests.unit.programs import leave_out


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this host has no program for."""
    leave_out(config, items)
