"""Live labs for tests: what the pytest plugin hands out, usable without pytest, too."""

from __future__ import annotations

from dmvpn_lab.testing.lab import CheckFailed, LiveLab, Recovery, ScenarioFailed
from dmvpn_lab.testing.labs import Labs

__all__ = ["CheckFailed", "Labs", "LiveLab", "Recovery", "ScenarioFailed"]
