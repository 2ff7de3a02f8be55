"""Faults that are over when they are done: the lab must get over them by itself, nothing is undone."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from dmvpn_lab import faults
from dmvpn_lab.errors import UsageError
from dmvpn_lab.running import RunningLab

Where = Literal["spoke", "hub", "node"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do a fault."""

    name: str
    meaning: str


class Moment(Protocol):
    """A fault of a moment; each is the object `FAULT` of its file."""

    name: str
    summary: str
    ways: tuple[Way, ...]
    """The first is the default."""
    recovered_by: str | None
    """The event of `answers.EVENTS` that says that it is over; None: nothing does, replies alone tell."""
    recovered_at: Where
    """Who says so: the spoke of each pair, its hub, or the router that it was done to."""
    needs_ipsec: bool
    hubs_only: bool

    async def inject(self, lab: RunningLab, node: str, way: str) -> str:
        """Do it to a router. Returns what was done, in words. Raises LabError."""


def moments() -> tuple[Moment, ...]:
    """Every fault of a moment, by name: found by its file."""
    return tuple(sorted(_found(), key=lambda fault: fault.name))


def chosen(fault: Moment, way: str | None) -> str:
    """The way of that name, or the default. Raises UsageError."""
    names = [each.name for each in fault.ways]
    if way is None:
        return names[0]
    if way not in names:
        raise UsageError(f"{fault.name} has no way {way!r}", hint=f"one of {', '.join(names)}")
    return way


def protected(lab: RunningLab, node: str) -> None:
    """Raises UsageError unless the node is a router whose tunnels are protected."""
    router = lab.router(node)
    if all(lab.plan.cloud(tunnel.cloud).ipsec is None for tunnel in router.tunnels):
        raise UsageError(f"{node}'s tunnels have no IPsec", hint="start a lab that has: dmvpn-lab up ipsec")


def _found() -> Iterator[Moment]:
    for module in pkgutil.iter_modules(faults.__path__):
        fault: Moment | None = getattr(
            importlib.import_module(f"{faults.__name__}.{module.name}"), "FAULT", None
        )
        if fault is not None:
            yield fault
