"""Purge requests of a server (RFC 2332, section 5.2.5): whoever was told a binding hears of its end.

A server notes whom it answered, for as long as the answer holds. When the binding moves or goes
before that, it sends a purge request, again until the reply comes or it gives up.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.actions import Action, Notify, SendPacket
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import authentication
from dmvpn_lab.nhrp.nhc import retransmit_delay
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.request_ids import RequestIds
from dmvpn_lab.nhrp.timers import Timers
from dmvpn_lab.nhrp.tunnel import Tunnel

TRIES = 4
ASKERS_LIMIT = 1024
"""Stations noted for one binding at the most; one more is answered and not noted."""

Key = tuple[int, IpAddress]
"""Network-id and protocol address of a binding."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A station that holds an answer of ours."""

    tunnel: Tunnel
    nbma: IPv4Address
    until: float


@dataclass(slots=True)
class Purge:
    """One purge request that waits for its reply."""

    asker: Asker
    station: IpAddress
    """Protocol address of the asker."""
    purged: IpAddress
    tries: int = 0


class Purger:
    """Knows who holds which answer, and takes it back."""

    def __init__(self, rng: random.Random, ids: RequestIds) -> None:
        self._rng = rng
        self._ids = ids
        self._askers: dict[Key, dict[IpAddress, Asker]] = {}
        self._waiting: dict[int, Purge] = {}
        """Request ID -> purge."""
        self._timers: Timers[int] = Timers()

    def answered(self, wanted: IpAddress, station: IpAddress, asker: Asker, now: float) -> None:
        """A station was told a binding."""
        askers = self._askers.setdefault((asker.tunnel.config.network_id, wanted), {})
        if len(askers) >= ASKERS_LIMIT and station not in askers:
            for each in [s for s, a in askers.items() if a.until <= now]:
                del askers[each]
        if len(askers) < ASKERS_LIMIT or station in askers:
            askers[station] = asker

    def changed(self, domain: int, protocol: IpAddress, now: float) -> list[Action]:
        """A binding moved or went: tell those who still hold it."""
        actions: list[Action] = []
        for station, asker in self._askers.pop((domain, protocol), {}).items():
            if now < asker.until and asker.tunnel.nbma is not None:
                request_id = self._ids.next()
                self._waiting[request_id] = Purge(asker, station, protocol)
                facts = {"interface": asker.tunnel.name, "protocol": str(protocol), "to": str(station)}
                actions += [*self._send(request_id, now), Notify("purge-sent", facts)]
        return actions

    def reply(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> list[Action]:
        """A purge reply: one that answers a purge of ours ends its retransmission."""
        purge = self._waiting.get(packet.request_id)
        if purge is None or purge.asker.nbma != outer or purge.asker.tunnel is not tunnel:
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
        tunnel, nbma = purge.asker.tunnel, purge.asker.nbma
        purge.tries += 1
        self._timers.set(request_id, now + retransmit_delay(purge.tries, self._rng))
        tunnel.counters[counters.sent(PacketType.PURGE_REQUEST)] += 1
        secret = tunnel.config.authentication
        packet = Packet(
            PacketType.PURGE_REQUEST,
            request_id=request_id,
            source_nbma=tunnel.nbma,
            source_protocol=tunnel.config.address.ip,
            destination_protocol=purge.station,
            cies=(Cie(prefix_length=tunnel.config.bits, protocol=purge.purged),),
            extensions=(authentication(secret),) if secret else (),
            protocol_type=tunnel.config.protocol_type,
        )
        return [SendPacket(tunnel.name, nbma, encode(packet))]
