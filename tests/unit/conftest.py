"""Hooks of the tests that run on any kernel."""

from __future__ import annotations

import os

import pytest

from tests.unit.programs import leave_out


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this host has no program for, and what needs root without it; and say so."""
    leave_out(config, items)
    if os.geteuid() == 0:
        return
    left_out = [item for item in items if item.get_closest_marker("root")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
        print(f"\ndeselected: {len(left_out)} tests that need root (namespaces, control groups)")
