"""What the core of tunnel protection asks of its shell."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any


@dataclass(frozen=True, slots=True)
class Ask:
    """A VICI command for charon. What it answers comes back as events only."""

    command: str
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteStates:
    """ESP states that charon does not know any more: remove them from the kernel."""

    states: frozenset[StateId]


@dataclass(frozen=True, slots=True)
class Count:
    """Say to `counted` how many packets of these peers their SAs have received so far."""

    peers: frozenset[IPv4Address]


@dataclass(frozen=True, slots=True)
class PeerSecured:
    """There is an SA with a peer, and this is who it proved to be."""

    local: IPv4Address
    peer: IPv4Address
    identity: str
    fresh: bool = False
    """Phase 2 has finished just now: not new keys of the same SA, and not one that was there before."""


@dataclass(frozen=True, slots=True)
class PeerLost:
    """The last SA with a peer is gone."""

    local: IPv4Address
    peer: IPv4Address


@dataclass(frozen=True, slots=True)
class Tell:
    """An event for the subscribers of the control socket."""

    name: str
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateId:
    """What names an ESP state in the kernel, and where it comes from."""

    source: IPv4Address
    destination: IPv4Address
    spi: int


Action = Ask | DeleteStates | Count | PeerSecured | PeerLost | Tell
