"""Two more stations that are fuzzed: a hub between its spokes and another server, and a spoke of phase 3.

Whatever is said to them, they raise nothing, what they send can be read, and nobody's packet touches what
another has registered.
"""

from __future__ import annotations

import random
import struct
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import ClassVar

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.actions import Action, FindRoute, InstallNeighbour, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.config import TunnelConfig
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension
from dmvpn_lab.nhrp.packet import Packet, decode, encode
from dmvpn_lab.nhrp.route import Route

TUNNEL = "tunnel0"
HUB, HUB_NBMA = IPv4Address("10.0.0.1"), IPv4Address("172.17.0.1")
SERVER, SERVER_NBMA = IPv4Address("10.0.0.2"), IPv4Address("172.17.0.2")
SPOKE, SPOKE_NBMA = IPv4Address("10.0.0.11"), IPv4Address("172.16.1.1")
OTHER, OTHER_NBMA = IPv4Address("10.0.0.12"), IPv4Address("172.16.2.1")
LAN, OTHERS_LAN, FAR_LAN = (IPv4Network(f"192.168.{number}.0/24") for number in (1, 2, 9))
UNIQUE = 0x8000
ANEW = 5_000
"""After so many packets a station begins anew: what it keeps would fill up."""
RECORDS = (Extension(3), Extension(4), Extension(5))
Ways = dict[IPv4Network, tuple[str, IPv4Address | None]]
"""Prefix -> interface and gateway: the routing table."""


def _packet(
    kind: int, source: IPv4Address, to: IPv4Address, cie: Cie, nbma: IPv4Address = SPOKE_NBMA, flags: int = 0
) -> Packet:
    return Packet(kind, flags, 5, nbma, source, to, (cie,), RECORDS)


def _about(packet: Packet) -> bytes:
    return encode(packet)[:60]


ENTRY, SHORT = Cie(prefix_length=32, holding_time_s=300), Cie(prefix_length=24, holding_time_s=300)
FOUND = Cie(prefix_length=32, holding_time_s=300, nbma=OTHER_NBMA, protocol=OTHER)
FOUND_LAN = Cie(prefix_length=24, holding_time_s=300, nbma=OTHER_NBMA, protocol=OTHER)
ASKED = [_packet(PacketType.RESOLUTION_REQUEST, SPOKE, to, ENTRY)
         for to in (OTHER, OTHERS_LAN[5], FAR_LAN[5], LAN[5])]  # fmt: skip
FORWARDED = bytes.fromhex("4500005400004000400100000000000000000000") + bytes(8)


def _transit_seeds() -> tuple[bytes, ...]:
    packets = [
        *ASKED,
        _packet(PacketType.REGISTRATION_REQUEST, SPOKE, HUB, ENTRY, flags=UNIQUE),
        _packet(PacketType.RESOLUTION_REPLY, SPOKE, OTHER, FOUND),
        _packet(PacketType.RESOLUTION_REPLY, OTHER, OTHERS_LAN[5], FOUND_LAN, OTHER_NBMA),
        _packet(PacketType.PURGE_REQUEST, SPOKE, OTHER, Cie(protocol=SPOKE)),
        _packet(PacketType.PURGE_REQUEST, SPOKE, HUB, Cie(protocol=SPOKE)),
        _packet(PacketType.PURGE_REPLY, SPOKE, OTHER, Cie(protocol=SPOKE)),
        Packet(PacketType.ERROR_INDICATION, 0, 6 << 16, SPOKE_NBMA, SPOKE, OTHER, payload=_about(ASKED[0])),
    ]
    return tuple(map(encode, packets))


def _spoke_seeds() -> tuple[bytes, ...]:
    registration = _packet(PacketType.REGISTRATION_REQUEST, SPOKE, HUB, ENTRY)
    source, to = LAN[2].packed, OTHERS_LAN[2].packed
    packets = [
        _packet(PacketType.REGISTRATION_REPLY, SPOKE, HUB, ENTRY),
        _packet(PacketType.REGISTRATION_REPLY, SPOKE, HUB, Cie(code=14, prefix_length=32)),
        _packet(PacketType.RESOLUTION_REPLY, SPOKE, OTHER, FOUND),
        _packet(PacketType.RESOLUTION_REPLY, SPOKE, OTHERS_LAN[2], FOUND_LAN),
        _packet(PacketType.RESOLUTION_REQUEST, OTHER, LAN[2], SHORT, OTHER_NBMA),
        _packet(PacketType.PURGE_REQUEST, OTHER, SPOKE, Cie(protocol=OTHER), OTHER_NBMA),
        _packet(PacketType.PURGE_REPLY, SPOKE, HUB, Cie(protocol=SPOKE)),
        Packet(PacketType.ERROR_INDICATION, 0, 12 << 16, HUB_NBMA, HUB, SPOKE, payload=_about(registration)),
        Packet(8, 0, 0, HUB_NBMA, HUB, LAN[2], payload=FORWARDED[:12] + source + to + FORWARDED[20:]),
    ]
    return tuple(map(encode, packets))


TRANSIT_SEEDS, SPOKE_SEEDS = _transit_seeds(), _spoke_seeds()


class Station:
    """An agent, a kernel that says Yes, and a routing table."""

    ways: ClassVar[Ways] = {}

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """At time 0."""
        self.agent = Agent([self.config()], random.Random(1))
        self.now, self.packets, self.sent = 0.0, 0, 0
        self.do(self.agent.source_changed(TUNNEL, self.nbma, self.now))

    nbma = HUB_NBMA

    def config(self) -> TunnelConfig:
        """Of its only tunnel."""
        raise NotImplementedError

    def do(self, actions: list[Action]) -> None:
        """Carry out, and what follows."""
        for action in actions:
            match action:
                case SendPacket(_, _, data):
                    self.said(decode(data))
                case InstallNeighbour(token=int(token)):
                    self.do(self.agent.installed(token, True, self.now))
                case FindRoute(token, address):
                    self.do(self.agent.found(token, self._way(address), self.now))

    def said(self, packet: Packet) -> None:
        """It sends this."""
        self.sent += 1

    def hear(self, data: bytes, outer: IPv4Address) -> None:
        """A packet from outside; time goes on."""
        self.packets += 1
        if self.packets > ANEW:
            self.begin()
        self.now += 0.01
        self.do(self.agent.receive(TUNNEL, data, outer, self.now))
        due = self.agent.deadline()
        if due is not None and due <= self.now:
            self.do(self.agent.tick(self.now))

    def held(self, protocol: IpAddress) -> IPv4Address | None:
        """The NBMA address that it has for somebody."""
        found = [b.nbma for cache in self.agent.domains.values() for b in cache if b.protocol == protocol]
        return found[0] if found else None

    def _way(self, address: IpAddress) -> Route | None:
        for prefix, (interface, gateway) in self.ways.items():
            if address in prefix:
                return Route(prefix, interface, gateway)
        return None


class Transit(Station):
    """A hub of phase 3 that is itself registered with a server; its senders are a spoke and the server."""

    ways: ClassVar[Ways] = {LAN: ("eth2", None), OTHERS_LAN: (TUNNEL, OTHER), FAR_LAN: (TUNNEL, SERVER)}

    def config(self) -> TunnelConfig:
        return TunnelConfig(
            name=TUNNEL, mode="multipoint", source="eth1", address=IPv4Interface("10.0.0.1/24"), network_id=1,
            mtu=1400, nhs=(SERVER,), static_maps=((SERVER, SERVER_NBMA),), map_multicast_dynamic=True,
            resolve=True, redirect=True, shortcut=True,
        )  # fmt: skip

    def begin(self) -> None:
        super().begin()
        for protocol, nbma in ((SPOKE, SPOKE_NBMA), (OTHER, OTHER_NBMA)):
            asked = _packet(PacketType.REGISTRATION_REQUEST, protocol, HUB, ENTRY, nbma, UNIQUE)
            self.hear(encode(asked), nbma)
        assert self.held(OTHER) == OTHER_NBMA

    def __call__(self, data: bytes) -> None:
        """Mostly the spoke's; the other spoke's registration is not its matter, nor is the server's map."""
        self.hear(data, SERVER_NBMA if self.packets % 4 == 3 else SPOKE_NBMA)
        assert self.held(OTHER) == OTHER_NBMA
        assert self.held(SERVER) == SERVER_NBMA


class Spoke(Station):
    """A spoke of phase 3 that has asked for an address; its senders are its hub and another spoke."""

    ways: ClassVar[Ways] = {
        LAN: ("eth2", None), OTHERS_LAN: (TUNNEL, HUB), IPv4Network("10.0.0.0/24"): (TUNNEL, None),
    }  # fmt: skip
    nbma = SPOKE_NBMA

    def config(self) -> TunnelConfig:
        return TunnelConfig(
            name=TUNNEL, mode="multipoint", source="eth1", address=IPv4Interface("10.0.0.11/24"),
            network_id=1, mtu=1400, nhs=(HUB,), static_maps=((HUB, HUB_NBMA),), map_multicast=(HUB_NBMA,),
            resolve=True, shortcut=True, holding_time_s=30,
        )  # fmt: skip

    def begin(self) -> None:
        self.asked: dict[int, int] = {}
        super().begin()

    def said(self, packet: Packet) -> None:
        """Questions are remembered by type, that their answers can have their ID."""
        super().said(packet)
        self.asked[packet.type] = packet.request_id

    def __call__(self, data: bytes) -> None:
        """Of two answers one has the ID of the question; the hub's static map stays."""
        if self.packets % 8 == 0:
            self.do(self.agent.probed(TUNNEL, OTHER, self.now))
        if self.packets % 2 and len(data) >= 28 and (asked := self.asked.get(data[17] - 1)) is not None:
            data = _with_id(data, asked)
        self.hear(data, OTHER_NBMA if self.packets % 5 == 4 else HUB_NBMA)
        assert self.held(HUB) == HUB_NBMA


def _with_id(data: bytes, request_id: int) -> bytes:
    out = bytearray(data)
    struct.pack_into("!I", out, 24, request_id)
    out[12:14] = bytes(2)
    struct.pack_into("!H", out, 12, checksum(bytes(out)))
    return bytes(out)
