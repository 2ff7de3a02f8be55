"""What the core asks of its shell, in the order in which it must be done."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any


@dataclass(frozen=True, slots=True)
class Send:
    """Send CDP out of a tunnel, to everybody who gets its multicast."""

    interface: str
    data: bytes


@dataclass(frozen=True, slots=True)
class InstallRoute:
    """Put a route into the kernel, in place of an earlier one."""

    prefix: IPv4Network
    next_hops: tuple[tuple[str, IPv4Address], ...]
    """(interface, gateway)."""


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Take a route out of the kernel."""

    prefix: IPv4Network


@dataclass(frozen=True, slots=True)
class Notify:
    """An event for the subscribers of the control socket; `name` is one of `answers.EVENTS`."""

    name: str
    facts: dict[str, Any]


Action = Send | InstallRoute | RemoveRoute | Notify
