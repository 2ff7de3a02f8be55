"""What the core asks of its shell, in the order in which it must be done."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any


@dataclass(frozen=True, slots=True)
class Send:
    """Send octets as IP protocol 88 out of an interface, to the group or to one neighbour."""

    interface: str
    destination: IPv4Address
    data: bytes


@dataclass(frozen=True, slots=True)
class NextHop:
    """One way to a destination."""

    interface: str
    gateway: IPv4Address


@dataclass(frozen=True, slots=True)
class InstallRoute:
    """Put a route into the kernel, in place of an earlier one; without next hops it discards."""

    prefix: IPv4Network
    next_hops: tuple[NextHop, ...]


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Take a route out of the kernel."""

    prefix: IPv4Network


@dataclass(frozen=True, slots=True)
class Notify:
    """An event for the subscribers of the control socket; `name` is one of `answers.EVENTS`."""

    name: str
    facts: dict[str, Any]
    """JSON-able values only."""


Action = Send | InstallRoute | RemoveRoute | Notify
