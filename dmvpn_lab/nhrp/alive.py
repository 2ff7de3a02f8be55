"""Whether a peer that was resolved can be reached still, on a tunnel without IPsec, where no SA tells.

While the kernel uses a peer it is asked for its own tunnel address now and then, directly: the question
goes the way of the data. A peer that answered so before and does so no more is out of reach, whatever the
server says of it. One that never answered such a question proves nothing by its silence.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.actions import SendPacket
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.nhc import retransmit_delay
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.question import request
from dmvpn_lab.nhrp.request_ids import RequestIds
from dmvpn_lab.nhrp.timers import Timers
from dmvpn_lab.nhrp.tunnel import Tunnel

PROBE_S = 10.0
"""A peer that is used is asked so often at the most."""
TRIES = 3
"""Sends of one question; they take about 7 s."""
LIMIT = 1024
"""Addresses out of reach that are remembered."""

Key = tuple[str, IpAddress]
"""Interface and protocol address."""


@dataclass(slots=True)
class Peer:
    """One that is in use."""

    tunnel: Tunnel
    nbma: IPv4Address
    asked: float
    answered: bool = False
    """It has answered such a question, so its silence means something."""
    request_id: int | None = None
    """Of a question that waits for its answer."""
    tries: int = 0


class Alive:
    """Asks peers directly, and notes who does not answer any more."""

    def __init__(self, rng: random.Random, ids: RequestIds) -> None:
        self._rng = rng
        self._ids = ids
        self._peers: dict[Key, Peer] = {}
        self._waiting: dict[int, Key] = {}
        self._timers: Timers[Key] = Timers()
        self._lost: dict[tuple[str, IPv4Address], None] = {}
        """Tunnel and NBMA address of peers that were out of reach when last heard of, the oldest first."""

    def used(self, tunnel: Tunnel, binding: Binding, now: float) -> list[SendPacket]:
        """The kernel uses a peer."""
        if tunnel.config.protected or not binding.resolved:
            return []
        key = (binding.interface, binding.protocol)
        peer = self._peers.get(key)
        if peer is None or peer.nbma != binding.nbma:
            self._forget(key)
            self._peers[key] = Peer(tunnel, binding.nbma, now)
            return []
        if peer.request_id is not None or now - peer.asked < PROBE_S:
            return []
        peer.request_id, peer.tries = self._ids.next(), 0
        self._waiting[peer.request_id] = key
        return [self._ask(key, peer, now)]

    def _ask(self, key: Key, peer: Peer, now: float) -> SendPacket:
        assert peer.request_id is not None
        peer.asked, peer.tries = now, peer.tries + 1
        self._timers.set(key, now + retransmit_delay(peer.tries, self._rng))
        peer.tunnel.counters[counters.sent(PacketType.RESOLUTION_REQUEST)] += 1
        data = encode(request(peer.tunnel, key[1], peer.request_id))
        return SendPacket(peer.tunnel.name, peer.nbma, data)

    def reply(self, packet: Packet, outer: IPv4Address) -> bool:
        """A resolution reply: whether it is a peer's own answer to us."""
        key = self._waiting.get(packet.request_id)
        if key is None:
            return False
        peer = self._peers[key]
        if outer != peer.nbma or packet.source_protocol != peer.tunnel.config.address.ip:
            return False
        peer.answered = True
        self._settle(key, peer)
        return True

    def reached(self, tunnel: Tunnel, nbma: IPv4Address) -> None:
        """A trial of the direct way succeeded."""
        self._lost.pop((tunnel.name, nbma), None)

    def is_lost(self, tunnel: Tunnel, nbma: IPv4Address) -> bool:
        """Whether the direct way to an address has to be tried before it is used again."""
        return (tunnel.name, nbma) in self._lost

    def deadline(self) -> float | None:
        """When `tick` is due."""
        return self._timers.deadline()

    def tick(self, now: float) -> tuple[list[SendPacket], list[Key]]:
        """Ask again; and who is out of reach since now."""
        again, lost = [], []
        for key in self._timers.expired(now):
            peer = self._peers[key]
            if peer.tries < TRIES:
                again.append(self._ask(key, peer, now))
                continue
            self._settle(key, peer)
            if peer.answered:
                lost.append(key)
                if len(self._lost) >= LIMIT:
                    del self._lost[next(iter(self._lost))]
                self._lost[peer.tunnel.name, peer.nbma] = None
        return again, lost

    def gone(self, binding: Binding) -> None:
        """A binding is over."""
        self._forget((binding.interface, binding.protocol))

    def _settle(self, key: Key, peer: Peer) -> None:
        """No answer is waited for any more."""
        if peer.request_id is not None:
            del self._waiting[peer.request_id]
            peer.request_id = None
        self._timers.cancel(key)

    def _forget(self, key: Key) -> None:
        peer = self._peers.pop(key, None)
        if peer is not None:
            self._settle(key, peer)
