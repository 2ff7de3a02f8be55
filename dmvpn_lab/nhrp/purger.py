"""Purge requests (RFC 2332, section 5.2.5): whoever was told something hears of its end.

A server notes whom it answered, for as long as the answer holds. When the binding moves or goes
before that, it sends a purge request, again until the reply comes or it gives up. What is behind a
router is taken back in the same way (`behind.py`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress, IpNetwork, network_of
from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.actions import Action, Notify, SendPacket
from dmvpn_lab.nhrp.askers import Asker, Askers
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType, PurgeFlag
from dmvpn_lab.nhrp.extensions import authentication
from dmvpn_lab.nhrp.nhc import retransmit_delay
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.request_ids import RequestIds
from dmvpn_lab.nhrp.timers import Timers
from dmvpn_lab.nhrp.tunnel import Tunnel

TRIES = 4

Key = tuple[int, IpAddress]
"""Network-id and protocol address of a binding."""


@dataclass(slots=True)
class Purge:
    """One purge request that waits for its reply."""

    asker: Asker
    station: IpAddress
    """Protocol address of the asker."""
    purged: IpNetwork
    nbma: IPv4Address
    """Where it was sent last."""
    tries: int = 0


class Purger:
    """Knows who holds which answer, and takes it back."""

    def __init__(self, rng: random.Random, ids: RequestIds) -> None:
        self._rng = rng
        self._ids = ids
        self._askers: Askers[Key] = Askers()
        self._waiting: dict[int, Purge] = {}
        """Request ID -> purge."""
        self._timers: Timers[int] = Timers()

    def answered(self, wanted: IpAddress, station: IpAddress, asker: Asker, now: float) -> None:
        """A station was told a binding."""
        self._askers.note((asker.tunnel.config.network_id, wanted), station, asker, now)

    def changed(self, domain: int, protocol: IpAddress, now: float) -> list[Action]:
        """A binding moved or went: tell those who still hold it."""
        if not self._askers:
            return []
        actions: list[Action] = []
        for station, asker in self._askers.take((domain, protocol), now):
            actions += self.take_back(network_of(protocol, protocol.max_prefixlen), station, asker, now)
        return actions

    def take_back(self, told: IpNetwork, station: IpAddress, asker: Asker, now: float, *,
                  final: bool = False) -> list[Action]:  # fmt: skip
        """Tell a station that an answer is over. `final`: nobody will be here for its reply."""
        tunnel = asker.tunnel
        if tunnel.nbma is None:
            return []
        request_id = self._ids.next()
        purge = self._waiting[request_id] = Purge(asker, station, told, asker.nbma)
        whole = told.prefixlen == told.max_prefixlen
        protocol = str(told.network_address if whole else told)
        facts = {"interface": tunnel.name, "protocol": protocol, "to": str(station)}
        sent = Notify("purge-sent", facts)
        if final:
            del self._waiting[request_id]
            return [self._packet(request_id, purge, PurgeFlag.NO_REPLY), sent]
        return [*self._send(request_id, now), sent]

    def reply(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> list[Action]:
        """A purge reply: one that answers a purge of ours ends its retransmission."""
        purge = self._waiting.get(packet.request_id)
        if purge is None or purge.nbma != outer or purge.asker.tunnel is not tunnel:
            tunnel.counters[counters.UNKNOWN_REPLY] += 1
            return []
        del self._waiting[packet.request_id]
        self._timers.cancel(packet.request_id)
        return []

    def deadline(self) -> float | None:
        """When `tick` is due."""
        return self._timers.deadline()

    def tick(self, now: float) -> list[Action]:
        """Send again what was not answered; after TRIES the answer runs out by itself."""
        actions: list[Action] = []
        for request_id in self._timers.expired(now):
            if self._waiting[request_id].tries >= TRIES:
                del self._waiting[request_id]
            else:
                actions += self._send(request_id, now)
        return actions

    def _send(self, request_id: int, now: float) -> list[Action]:
        purge = self._waiting[request_id]
        if purge.tries:
            purge.nbma = self._next_way(purge)
        purge.tries += 1
        self._timers.set(request_id, now + retransmit_delay(purge.tries, self._rng))
        return [self._packet(request_id, purge)]

    def _next_way(self, purge: Purge) -> IPv4Address:
        """Where to send it again: what came through a server of ours can go through another one."""
        config = purge.asker.tunnel.config
        last = next((nhs for nhs in config.nhs if config.nbma_of(nhs) == purge.nbma), None)
        if last is None:
            return purge.nbma
        server = purge.asker.tunnel.server(last)
        return (None if server is None else config.nbma_of(server)) or purge.nbma

    def _packet(self, request_id: int, purge: Purge, flags: int = 0) -> SendPacket:
        tunnel = purge.asker.tunnel
        tunnel.counters[counters.sent(PacketType.PURGE_REQUEST)] += 1
        secret = tunnel.config.authentication
        packet = Packet(
            PacketType.PURGE_REQUEST,
            flags=int(flags),
            request_id=request_id,
            source_nbma=tunnel.nbma,
            source_protocol=tunnel.config.address.ip,
            destination_protocol=purge.station,
            cies=(Cie(prefix_length=purge.purged.prefixlen, protocol=purge.purged.network_address),),
            extensions=(authentication(secret),) if secret else (),
            protocol_type=tunnel.config.protocol_type,
        )
        return SendPacket(tunnel.name, purge.nbma, encode(packet))
