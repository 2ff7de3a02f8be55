"""The state of one tunnel: its source address, its registrations, its counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.actions import Action, ChangeMulticastPeers, Notify
from dmvpn_lab.nhrp.cache import Cache
from dmvpn_lab.nhrp.config import TunnelConfig
from dmvpn_lab.nhrp.counters import NO_IDENTITY, TunnelCounters
from dmvpn_lab.nhrp.later import Later
from dmvpn_lab.nhrp.nhc import Registration
from dmvpn_lab.nhrp.packet import Packet

HOLD_S = 3.0
"""A registration waits so long for the word that its sender has an SA."""
HELD_LIMIT = 256
"""Packets that wait for their sender's identity at the most."""


@dataclass(frozen=True, slots=True)
class Held:
    """A packet that came before the word of its sender's SA."""

    packet: Packet
    nbma: IPv4Address
    until: float
    """Monotonic seconds; after it the packet is dropped, and its sender sends again."""


@dataclass(slots=True)
class Tunnel:
    """One GRE interface at work, in one protocol subnet: `parts` are all of the interface, also this one."""

    config: TunnelConfig
    cache: Cache
    """Of its domain, shared with other tunnels of the same network-id."""
    nbma: IPv4Address | None = None
    outside: IPv4Address | None = None
    """What a server sees instead of `nbma`: we are behind a NAT."""
    had_source: bool = False
    installed: bool = False
    """The static maps are in place."""
    registrations: list[Registration] = field(init=False)
    counters: TunnelCounters = field(default_factory=TunnelCounters)
    secured: dict[IPv4Address, str] = field(default_factory=dict)
    """Peers with which there is an IPsec SA: NBMA address -> authenticated IKE identity."""
    held: list[Held] = field(default_factory=list)
    parts: list[Tunnel] = field(default_factory=list)
    _multicast: set[IPv4Address] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.registrations = [Registration(nhs) for nhs in self.config.nhs]
        self.parts.append(self)

    def add(self, config: TunnelConfig) -> None:
        """Another protocol subnet: what belongs to the interface is shared."""
        Tunnel(config, self.cache, counters=self.counters, secured=self.secured, parts=self.parts,
               _multicast=self._multicast)  # fmt: skip

    def part(self, protocol: object) -> Tunnel:
        """The part that a protocol address belongs to: by its subnet, else by its family."""
        kin = [part for part in self.parts if part.config.speaks(protocol)]
        inside = (part for part in kin if protocol in part.config.address.network)
        return next(inside, kin[0] if kin else self)

    def counted(self) -> dict[str, int]:
        """The counters of the interface, in order."""
        return dict(sorted(self.counters.items()))

    @property
    def name(self) -> str:
        """Of the interface."""
        return self.config.name

    def hold(self, packet: Packet, nbma: IPv4Address, now: float) -> None:
        """Keep a registration until IKE says whose it is. It came by an SA: the word is on its way."""
        fresh = [held for held in self.held if now < held.until]
        self.counters[NO_IDENTITY] += len(self.held) - len(fresh)
        if len(fresh) < HELD_LIMIT:
            fresh.append(Held(packet, nbma, now + HOLD_S))
        self.held = fresh

    def release(self, peer: IPv4Address, now: float) -> list[Packet]:
        """What was held of a peer, and is no longer."""
        ready = [held for held in self.held if held.nbma == peer]
        self.held = [held for held in self.held if held.nbma != peer]
        return [held.packet for held in ready if now < held.until]

    def may_send_to(self, nbma: IPv4Address) -> bool:
        """Whether a packet to that peer would leave: the tunnel is bare, or there is an SA."""
        return not self.config.protected or nbma in self.secured

    def server(self, last: IpAddress | None = None) -> IpAddress | None:
        """The server to ask: the best that answers registrations; after `last`, the next best."""
        answering = [r.nhs for r in self.registrations if r.answering]
        able = sorted(answering or self.config.nhs, key=self.config.priority_of)
        if last in able:
            return able[(able.index(last) + 1) % len(able)]
        return able[0] if able else None

    def multicast_actions(self) -> list[Action]:
        """What to do if the multicast set is not what it was. Costs what changed, not the set."""
        static = self.config.map_multicast if self.installed else ()
        added, removed = [], []
        peers = self.cache.peers(self.name) if self.config.map_multicast_dynamic else ()
        for nbma in (*static, *self.cache.take_moved(self.name)):
            dynamic = nbma in peers
            if nbma in self._multicast:
                if not dynamic and nbma not in static:
                    self._multicast.discard(nbma)
                    removed.append(nbma)
            elif dynamic or nbma in static:
                self._multicast.add(nbma)
                added.append(nbma)
        if not added and not removed:
            return []
        count = len(self._multicast)
        facts = Later(lambda: {"interface": self.name, "added": [str(nbma) for nbma in added],
                               "removed": [str(nbma) for nbma in removed], "peers": count})  # fmt: skip
        return [
            ChangeMulticastPeers(self.name, tuple(added), tuple(removed)),
            Notify("multicast-changed", facts),
        ]
