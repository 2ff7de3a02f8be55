"""The hub's part in phase 3: it tells spokes of a better way, and passes on their questions and answers.

A question goes along the routed path to the router that has the destination, as RFC 2332 asks of
a transit NHS: one hop less, our record in the forward transit extension (section 5.3.2), never
twice through the same server (5.2.7, loop). The answer goes back by the asker's registration, and where
that is with another server, by the routed path to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import TypeGuard

from dmvpn_lab.address import IpAddress, addresses_of
from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp import counters, nhs
from dmvpn_lab.nhrp.acceptance import HOP_COUNT_OFFSET, indication
from dmvpn_lab.nhrp.actions import Action, FindRoute, Notify, SendPacket
from dmvpn_lab.nhrp.askers import Asker
from dmvpn_lab.nhrp.behind import Behind, Told
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import ErrorCode, ExtensionType, PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.purger import Purger
from dmvpn_lab.nhrp.route import Route
from dmvpn_lab.nhrp.tunnel import Tunnel

LOOKS_LIMIT = 1024
"""Questions that wait for a look at the routes at the most; more are dropped and come again."""
INDICATION_S = 8.0
"""A spoke is told of one destination so often at the most."""
INDICATIONS_LIMIT = 4096
HEADER_AND_8, HEADER_AND_8_OF_IPV6 = 28, 48
"""Octets of the packet that an indication is about: its header and 8 more."""


@dataclass(frozen=True, slots=True)
class Question:
    """A resolution request that waits for what the routing table says."""

    tunnel: Tunnel
    packet: Packet
    outer: IPv4Address


@dataclass(frozen=True, slots=True)
class Onward:
    """A packet for another station."""

    tunnel: Tunnel
    packet: Packet
    outer: IPv4Address
    to: IpAddress
    sender: IpAddress | None = None
    """Still to be found to be where it came from; None: it is, or need not be."""


class Transit:
    """Forwards between the spokes of a hub, and answers for what is behind a router."""

    def __init__(self, tunnels: dict[str, Tunnel], purger: Purger) -> None:
        self._tunnels = tunnels
        self._purger = purger
        self._behind = Behind(purger)
        self._questions: dict[int, Question | Told | Onward] = {}
        self._token = 0
        self._told: dict[tuple[IPv4Address, IpAddress], float] = {}

    # --- indications ------------------------------------------------------------------------------

    def forwarded(
        self, tunnel: Tunnel, out: Tunnel, nbma: IPv4Address | None, data: bytes, now: float
    ) -> list[Action]:
        """The kernel forwarded a packet to where its sender could send it: tell him."""
        known = nbma is not None and tunnel.cache.is_peer(tunnel.name, nbma)
        if not tunnel.config.redirect or not known or nbma is None or tunnel.nbma is None:
            return []
        if not tunnel.config.meets(out.config):
            return []
        addresses = addresses_of(data)
        if addresses is None or not tunnel.config.speaks(addresses[0]):
            return []
        source, destination = addresses
        if destination in tunnel.config.address.network or self._told.get((nbma, destination), 0.0) > now:
            return []
        if len(self._told) >= INDICATIONS_LIMIT:
            self._told = {key: until for key, until in self._told.items() if until > now}
            if len(self._told) >= INDICATIONS_LIMIT:
                tunnel.counters[counters.INDICATIONS_SKIPPED] += 1
                return []
        self._told[nbma, destination] = now + INDICATION_S
        secret = tunnel.config.authentication
        packet = Packet(
            PacketType.TRAFFIC_INDICATION,
            source_nbma=tunnel.nbma,
            source_protocol=tunnel.config.address.ip,
            destination_protocol=source,
            extensions=(authentication(secret),) if secret else (),
            payload=data[: HEADER_AND_8 if source.version == 4 else HEADER_AND_8_OF_IPV6],
            protocol_type=tunnel.config.protocol_type,
        )
        facts = {"interface": tunnel.name, "nbma": str(nbma), "source": str(source),
                 "destination": str(destination)}  # fmt: skip
        return [_sent(tunnel, nbma, packet), Notify("indication-sent", facts)]

    # --- questions for what is not a tunnel address --------------------------------------------------

    def question(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address, wanted: IpAddress) -> list[Action]:
        """A question for an address behind some router: where, the routing table knows."""
        if len(self._questions) >= LOOKS_LIMIT:
            tunnel.counters[counters.DROPPED_BUSY] += 1
            return []
        return [self._look(Question(tunnel, packet, outer), wanted)]

    def _look(self, question: Question | Told | Onward, wanted: IpAddress) -> FindRoute:
        self._token -= 1  # negative: positive ones are the shortcuts'
        self._questions[self._token] = question
        return FindRoute(self._token, wanted)

    def found(self, token: int, route: Route | None, now: float) -> list[Action]:
        """What the routing table says: pass the question on, or answer it."""
        question = self._questions.pop(token, None)
        if question is None:
            return []
        if isinstance(question, Onward):
            return self._routed(question, route)
        behind = route if self._is_behind(question.tunnel, route) else None
        if isinstance(question, Told):
            return self._behind.looked(question, behind, now)
        tunnel, packet, outer = question.tunnel, question.packet, question.outer
        out = None if route is None else self._tunnels.get(route.interface)
        if behind is not None or route is None or out is None:
            return self._answer(question, behind, now)
        if out.config.network_id != tunnel.config.network_id:
            return self._answer(question, None, now)
        binding = out.cache.get(route.gateway) if route.gateway is not None else None
        out = out if route.gateway is None else out.part(route.gateway)
        if binding is None or binding.nbma == outer or not tunnel.config.redirect:
            return self._answer(question, None, now)
        refused = self._impassable(tunnel, packet, outer)
        if refused is not None:
            return [refused]
        station = packet.source_protocol
        if tunnel.config.speaks(station) and binding.expires is not None:
            self._purger.answered(binding.protocol, station, Asker(tunnel, outer, binding.expires), now)
        return self._pass_on(out, binding.nbma, packet, ExtensionType.FORWARD_TRANSIT_NHS)

    def _is_behind(self, tunnel: Tunnel, route: Route | None) -> bool:
        """Whether we are the way to where a route leads, for who sends by that tunnel.

        To a LAN we are, and to a tunnel of the domain that would not take the asker's own packets. The
        Internet is nobody's LAN.
        """
        if route is None or route.interface in {each.config.source for each in self._tunnels.values()}:
            return False
        out = self._tunnels.get(route.interface)
        domain = tunnel.config.network_id
        return out is None or (out.config.network_id == domain and not tunnel.config.meets(out.config))

    def _answer(self, question: Question, route: Route | None, now: float) -> list[Action]:
        """That we are the way to where a route leads; None: code 12."""
        tunnel, packet, outer = question.tunnel, question.packet, question.outer
        ours, length = (None, 0) if route is None else (tunnel.config.address.ip, route.prefix.prefixlen)
        reply = nhs.prefix_reply(packet, ours, length, tunnel.config, tunnel.nbma, tunnel.outside)
        station, wanted = packet.source_protocol, packet.destination_protocol
        if route is not None and tunnel.config.speaks(station) and tunnel.config.speaks(wanted):
            asker = Asker(tunnel, outer, now + tunnel.config.holding_time_s)
            self._behind.answered(Told(tunnel, route.prefix, wanted), station, asker, now)
        return [_sent(tunnel, outer, reply)]

    def routes_changed(self) -> list[FindRoute]:
        """Look whether what was said to be behind us still is."""
        return [self._look(told, told.wanted) for told in self._behind.to_look_at()]

    def moved(self, tunnel: Tunnel, now: float) -> list[Action]:
        """A tunnel has another NBMA address than the one that its answers told."""
        return self._behind.moved(tunnel, now)

    def leave(self, now: float) -> list[Action]:
        """The router goes for good: what it answered for its LANs ends."""
        return self._behind.leave(now)

    # --- to somebody else ---------------------------------------------------------------------------

    def purge(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> list[Action] | None:
        """A purge request for another station; None: it is for us.

        Who gets it believes us, so we believe only the registrant itself, a server that it is registered
        with, as the routing table says, and our own servers.
        """
        station, to = packet.source_protocol, packet.destination_protocol
        if not self._is_for_others(to, tunnel) or not tunnel.config.speaks(station) or station == to:
            return None
        source, server = tunnel.cache.get(station), tunnel.config.is_server(outer)
        known = tunnel.cache.is_peer(tunnel.name, outer) if source is None else source.nbma == outer
        if not known and not server:
            return None
        onward = Onward(tunnel, packet, outer, to)
        if source is None and not server:
            return self._find_way(replace(onward, sender=station), station)
        return self._onward(onward)

    def error(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> list[Action] | None:
        """An error indication for another station; None: it is for us."""
        to = packet.destination_protocol
        if not self._is_for_others(to, tunnel) or not self._is_known(tunnel, outer):
            return None
        return self._onward(Onward(tunnel, packet, outer, to))

    def reply(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> list[Action]:
        """An answer for somebody else. Only registered peers and our servers may send one."""
        to = packet.source_protocol
        if not self._is_for_others(to, tunnel) or not self._is_known(tunnel, outer):
            tunnel.counters[counters.UNKNOWN_REPLY] += 1
            return []
        return self._onward(Onward(tunnel, packet, outer, to))

    def _is_for_others(self, to: object, tunnel: Tunnel) -> TypeGuard[IpAddress]:
        """Whether a packet to that station is ours to pass on."""
        return tunnel.config.redirect and tunnel.config.speaks(to) and to not in self._own()

    def _is_known(self, tunnel: Tunnel, outer: IPv4Address) -> bool:
        return tunnel.cache.is_peer(tunnel.name, outer) or tunnel.config.is_server(outer)

    def _onward(self, onward: Onward) -> list[Action]:
        """To a station that is registered here, or to the server that the routing table has on the way."""
        binding = onward.tunnel.cache.get(onward.to)
        return self._find_way(onward, onward.to) if binding is None else self._send_on(onward, binding)

    def _find_way(self, onward: Onward, to: IpAddress) -> list[Action]:
        if len(self._questions) >= LOOKS_LIMIT:
            onward.tunnel.counters[counters.DROPPED_BUSY] += 1
            return []
        return [self._look(onward, to)]

    def _routed(self, onward: Onward, route: Route | None) -> list[Action]:
        """What the routing table says of the way to a station that is not registered here."""
        out = None if route is None else self._tunnels.get(route.interface)
        gateway = None if route is None else route.gateway
        joined = out is not None and out.config.network_id == onward.tunnel.config.network_id
        binding = out.cache.get(gateway) if out is not None and gateway is not None and joined else None
        if onward.sender is not None and binding is not None and binding.nbma == onward.outer:
            return self._onward(replace(onward, sender=None))
        if onward.sender is not None or binding is None:
            onward.tunnel.counters[counters.UNKNOWN_STATION] += 1
            return []
        return self._send_on(onward, binding)

    def _send_on(self, onward: Onward, binding: Binding) -> list[Action]:
        """To the next station; never back to where it came from."""
        tunnel, packet, outer = onward.tunnel, onward.packet, onward.outer
        out = self._tunnels[binding.interface].part(binding.protocol)
        if binding.nbma == outer:
            tunnel.counters[counters.UNKNOWN_STATION] += 1
            return []
        if packet.type == PacketType.ERROR_INDICATION:
            return self._pass_on(out, binding.nbma, packet, None)
        if packet.type == PacketType.PURGE_REQUEST:
            refused = self._impassable(tunnel, packet, outer)
            forward = ExtensionType.FORWARD_TRANSIT_NHS
            return [refused] if refused else self._pass_on(out, binding.nbma, packet, forward)
        if self._looped(packet, ExtensionType.REVERSE_TRANSIT_NHS):
            tunnel.counters[counters.LOOP_DETECTED] += 1
            return []
        return self._pass_on(out, binding.nbma, packet, ExtensionType.REVERSE_TRANSIT_NHS)

    def _impassable(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> SendPacket | None:
        """The error for a request that must not be passed on: it was here before, or has its last hop."""
        if self._looped(packet, ExtensionType.FORWARD_TRANSIT_NHS):
            tunnel.counters[counters.LOOP_DETECTED] += 1
            return indication(tunnel, outer, encode(packet), ErrorCode.LOOP_DETECTED, 0)
        if packet.hop_count <= 1:
            tunnel.counters[counters.HOP_COUNT_EXCEEDED] += 1
            code, at = ErrorCode.HOP_COUNT_EXCEEDED, HOP_COUNT_OFFSET
            return indication(tunnel, outer, encode(packet), code, at)
        return None

    def _pass_on(self, out: Tunnel, nbma: IPv4Address, packet: Packet, record: int | None) -> list[Action]:
        """One hop less, and our own record, if there is one in such a packet."""
        if packet.hop_count <= 1:
            out.counters[counters.HOP_COUNT_EXCEEDED] += 1
            return []
        out.counters[counters.FORWARDED] += 1
        if record is None:
            return [SendPacket(out.name, nbma, encode(replace(packet, hop_count=packet.hop_count - 1)))]
        config = out.config
        us = Cie(prefix_length=config.bits, mtu=config.mtu, holding_time_s=config.holding_time_s,
                 nbma=out.nbma, protocol=config.address.ip)  # fmt: skip
        extensions = _readdressed(packet.extensions, record, encode_cie(us), config.authentication)
        passed = replace(packet, hop_count=packet.hop_count - 1, extensions=extensions)
        return [SendPacket(out.name, nbma, encode(passed))]

    def _looped(self, packet: Packet, record: int) -> bool:
        """Whether one of our own protocol addresses is in a transit record."""
        own = self._own()
        return any(cie.protocol in own for cie in _cies(packet.extension(record)))

    def _own(self) -> set[IpAddress]:
        return {part.config.address.ip for each in self._tunnels.values() for part in each.parts}


def _readdressed(
    extensions: tuple[Extension, ...] | None, record: int, us: bytes, secret: str | None
) -> tuple[Extension, ...] | None:
    """For the next station, in their order: our record in, and the secret of the tunnel that it is on."""
    passed = []
    for each in extensions or ():
        if each.type == record:
            passed.append(replace(each, value=each.value + us))
        elif each.type != ExtensionType.AUTHENTICATION:
            passed.append(each)
        elif secret:
            passed.append(authentication(secret))
    if secret and all(each.type != ExtensionType.AUTHENTICATION for each in passed):
        passed.append(authentication(secret))
    return tuple(passed) if passed or extensions is not None else None


def _cies(extension: Extension | None) -> tuple[Cie, ...]:
    try:
        return () if extension is None else extension.cies()
    except DecodeError:
        return ()


def _sent(tunnel: Tunnel, nbma: IPv4Address, packet: Packet) -> SendPacket:
    tunnel.counters[counters.sent(packet.type)] += 1
    return SendPacket(tunnel.name, nbma, encode(packet))
