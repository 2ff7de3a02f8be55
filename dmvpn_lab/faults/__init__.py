"""Ways to change the world: one file a fault, each undoes itself."""

from __future__ import annotations

import importlib

from dmvpn_lab.errors import UsageError
from dmvpn_lab.faults.base import Injected, Line
from dmvpn_lab.running import RunningLab


async def undo(lab: RunningLab, fault: Injected) -> tuple[Line, ...]:
    """Undo a fault by its own file. Returns the access lines that recover; UsageError if unknown."""
    try:
        module = importlib.import_module(f"dmvpn_lab.faults.{fault.fault.replace('-', '_')}")
    except ModuleNotFoundError:
        raise UsageError(f"this version knows no fault {fault.fault!r}") from None
    lines: tuple[Line, ...] = await module.undo(lab, fault)
    return lines
