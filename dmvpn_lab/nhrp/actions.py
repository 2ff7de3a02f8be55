"""What the core asks of its shell: the only way out of `nhrp/`.

`Agent.receive()`, `Agent.tick()` and the interface events return a list of these, in the order
in which they must be carried out. The core never waits for one, with a single exception:
`InstallNeighbour.token` is answered by `Agent.installed(token, ok, now)`, because a registration
is acknowledged only after the kernel took the neighbour.

Those of a registration are not frozen: that would be four times as much work to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.address import IpAddress, IpNetwork


@dataclass(slots=True)
class SendPacket:
    """Send NHRP bytes (no GRE header) out of a tunnel to a NBMA address."""

    interface: str
    nbma: IPv4Address
    data: bytes


@dataclass(slots=True)
class InstallNeighbour:
    """Map a protocol address to a NBMA address in the kernel's neighbour table of a tunnel.

    Replaces an earlier mapping of the same protocol address.
    """

    interface: str
    protocol: IpAddress
    nbma: IPv4Address
    token: int | None = None
    """Not None: the shell calls `Agent.installed(token, ok, now)` with the kernel's verdict.

    Verdicts come in the order of the actions.
    """
    on_demand: bool = False
    """The kernel is to say when it uses the mapping: `Agent.probed` is called then."""


@dataclass(frozen=True, slots=True)
class RemoveNeighbour:
    """Remove the mapping of a protocol address from a tunnel's neighbour table."""

    interface: str
    protocol: IpAddress


@dataclass(frozen=True, slots=True)
class FindRoute:
    """Look into the main routing table; the shell calls `Agent.found(token, route, now)`."""

    token: int
    address: IpAddress


@dataclass(frozen=True, slots=True)
class InstallShortcut:
    """Add or replace a route that is looked up before those of the routing protocols."""

    interface: str
    prefix: IpNetwork
    via: IpAddress


@dataclass(frozen=True, slots=True)
class RemoveShortcut:
    """Remove such a route."""

    interface: str
    prefix: IpNetwork


@dataclass(frozen=True, slots=True)
class ChangeMulticastPeers:
    """Add to and take from the NBMA addresses that get a copy of each multicast packet of a tunnel."""

    interface: str
    added: tuple[IPv4Address, ...]
    removed: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Protect:
    """The whole set of NBMA addresses with which a tunnel must have an IPsec SA."""

    interface: str
    peers: frozenset[IPv4Address]
    on_demand: frozenset[IPv4Address] = frozenset()
    """Those of them that can wait: packets go through a server meanwhile, and the peer may begin, too."""


@dataclass(slots=True)
class Notify:
    """An event for the subscribers of the control socket; `name` is one of `answers.EVENTS`."""

    name: str
    facts: Mapping[str, Any]
    """JSON-able values only."""


@dataclass(slots=True)
class Registered:
    """Registrations that were accepted together: a hub does little else, so they are one action."""

    interface: str
    replies: list[bytes]
    nbmas: list[IPv4Address]
    """Where to send each reply."""
    facts: list[Mapping[str, Any]]
    """Those of an event `peer-registered` for each."""

    def apart(self) -> list[Action]:
        """The same as actions that are one thing each."""
        pairs = zip(self.nbmas, self.replies, strict=True)
        replies = [SendPacket(self.interface, nbma, data) for nbma, data in pairs]
        return [*(Notify("peer-registered", each) for each in self.facts), *replies]


Action = (
    SendPacket
    | Registered
    | InstallNeighbour
    | RemoveNeighbour
    | FindRoute
    | InstallShortcut
    | RemoveShortcut
    | ChangeMulticastPeers
    | Protect
    | Notify
)


def registered(actions: list[Action], interface: str) -> Registered:
    """What another accepted registration of a tunnel is to be added to, at the end of some actions."""
    last = actions[-1] if actions else None
    if not isinstance(last, Registered) or last.interface != interface:
        last = Registered(interface, [], [], [])
        actions.append(last)
    return last


def apart(actions: list[Action]) -> list[Action]:
    """The same with registrations as single events and replies."""
    return [each for a in actions for each in (a.apart() if isinstance(a, Registered) else [a])]
