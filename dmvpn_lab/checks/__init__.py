"""Proofs that a lab works: one file a check."""

from __future__ import annotations

from dmvpn_lab.checks.adjacency import AdjacencyCheck
from dmvpn_lab.checks.base import Check, CheckResult
from dmvpn_lab.checks.encryption import Encryption
from dmvpn_lab.checks.multicast import Multicast
from dmvpn_lab.checks.reachability import Reachability
from dmvpn_lab.checks.registration import Registration
from dmvpn_lab.checks.resolution import Resolution
from dmvpn_lab.checks.shortcut import Shortcut

__all__ = ["ALL", "Check", "CheckResult"]

ALL: tuple[Check, ...] = (
    Encryption(),
    Registration(),
    Multicast(),
    AdjacencyCheck(),
    Resolution(),
    Shortcut(),
    Reachability(),
)
"""In the order in which one rests on the other."""
