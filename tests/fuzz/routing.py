"""The same of EIGRP and of CDP: their packets are read or refused, and speakers survive any of them."""

from __future__ import annotations

import contextlib
import struct
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from dmvpn_lab.eigrp import packet as eigrp
from dmvpn_lab.eigrp.config import InterfaceConfig, ProcessConfig
from dmvpn_lab.eigrp.constants import HEADER_LENGTH, Flag, Opcode
from dmvpn_lab.eigrp.metric import Metric
from dmvpn_lab.eigrp.packet import Packet
from dmvpn_lab.eigrp.speaker import Speaker
from dmvpn_lab.eigrp.tlv import Exterior, Parameters, Route, StubInfo, Termination
from dmvpn_lab.eigrp.wide import Wide
from dmvpn_lab.errors import DecodeError
from dmvpn_lab.odr import cdp
from dmvpn_lab.odr.cdp import Cdp
from dmvpn_lab.odr.config import OdrConfig, TunnelConfig
from dmvpn_lab.odr.speaker import OdrSpeaker
from tests.vectors import eigrp as captured

ASN = 100
"""That of the captured packets."""
TUNNEL = "tunnel0"
OURS, PEER, OTHER = (IPv4Address(f"10.0.0.{n}") for n in (1, 2, 3))
LAN = IPv4Network("192.168.1.0/24")
MOST = 200
"""Destinations; with more, a speaker begins anew."""


def eigrp_decoded(data: bytes) -> None:
    """Octets are a packet or a DecodeError; a packet can be written, and read again as the same."""
    try:
        packet = eigrp.decode(data)
    except DecodeError:
        return
    assert eigrp.decode(eigrp.encode(packet)) == packet


def cdp_decoded(data: bytes) -> None:
    """Octets are a packet or a DecodeError; a packet can be written again."""
    try:
        packet = cdp.decode(data)
    except DecodeError:
        return
    with contextlib.suppress(struct.error):  # an octet that is no text becomes three
        cdp.decode(cdp.encode(packet))


class EigrpSpeaker:
    """A router with a neighbour that has said its first update; what is malformed changes nothing."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        tunnel = InterfaceConfig(TUNNEL, IPv4Interface((OURS, 24)), 1400, 100_000, 100,
                                 split_horizon=False, next_hop_self=False)  # fmt: skip
        lan = InterfaceConfig("eth2", IPv4Interface((LAN[1], 24)), 1500, 100_000, 100, passive=True)
        self._speaker = Speaker(ProcessConfig(ASN, OURS, (tunnel, lan)))
        self._now = 0.0
        for name in ("eth2", TUNNEL):
            self._speaker.interface_up(name, 0.0)
        for sender in (PEER, OTHER):
            for each in BRING_UP:
                self._speaker.receive(TUNNEL, eigrp.encode(each), sender, 0.0)

    def __call__(self, data: bytes) -> None:
        """One packet of the neighbour, and what is due after it."""
        self._now += 0.05
        before, counted = self._state(), self._speaker.counters["malformed"]
        self._speaker.receive(TUNNEL, data, PEER, self._now)
        if self._speaker.counters["malformed"] > counted:
            assert self._state() == before
        self._speaker.tick(self._now)
        if len(self._speaker.topology.entries) > MOST or self._now > MOST:
            self._begin()

    def _state(self) -> tuple[object, ...]:
        neighbours = self._speaker.links[TUNNEL].neighbours.values()
        return (
            {(n.address, n.up, n.last_sequence, len(n.queue)) for n in neighbours},
            {(entry.prefix, entry.distance, entry.active) for entry in self._speaker.topology},
        )


class OdrHub:
    """A hub with a spoke; what is malformed changes nothing."""

    def __init__(self) -> None:
        tunnel = TunnelConfig(TUNNEL, IPv4Interface((OURS, 24)), True, 5.0, 15)
        self._speaker = OdrSpeaker(OdrConfig("hub", (tunnel,), ()))
        self._speaker.interface_up(TUNNEL, 0.0)
        self._now = 0.0

    def __call__(self, data: bytes) -> None:
        """One packet, and what is due after it."""
        self._now += 0.05
        try:
            cdp.decode(data)
            sound = True
        except DecodeError:
            sound = False
        before = None if sound else self._state()  # there may be thousands of neighbours
        self._speaker.receive(TUNNEL, data, self._now)
        assert sound or self._state() == before
        self._speaker.tick(self._now)

    def _state(self) -> set[tuple[object, ...]]:
        return {(peer, each.prefixes, each.expires) for peer, each in self._speaker.neighbours.items()}


def eigrp_repaired(data: bytes) -> bytes:
    """The same octets with the checksum made right."""
    if len(data) < HEADER_LENGTH:
        return data
    data = data[:2] + bytes(2) + data[4:]
    return data[:2] + eigrp.checksum(data).to_bytes(2, "big") + data[4:]


def cdp_repaired(data: bytes) -> bytes:
    """The same octets with the checksum made right."""
    if len(data) < 4:
        return data
    return data[:2] + cdp.checksum(data[:2] + bytes(2) + data[4:]).to_bytes(2, "big") + data[4:]


BRING_UP = (
    Packet(Opcode.HELLO, ASN, tlvs=(Parameters(60),)),
    Packet(Opcode.UPDATE, ASN, Flag.INIT, 23, 1),
    Packet(Opcode.HELLO, ASN, acknowledgment=1),
)
_OUTER = Exterior(PEER, 65001, 7, 20, 3)
_ROUTES = (
    Route(LAN, Metric(2560, 25600), OTHER),
    Route(LAN, Metric(2560, 25600), OTHER, _OUTER),
    Route(LAN, Wide(10**7, 10_000_000), OTHER, None, PEER),
    Route(LAN, Wide(10**7, 10_000_000), OTHER, _OUTER, PEER),
)
_KINDS = (Opcode.UPDATE, Opcode.QUERY, Opcode.REPLY, Opcode.SIA_QUERY, Opcode.SIA_REPLY)
EIGRP_SEEDS = (
    *captured.ALL.values(),
    *map(eigrp.encode, BRING_UP),
    *(eigrp.encode(Packet(kind, ASN, 0, 24, 2, _ROUTES)) for kind in _KINDS),
    eigrp.encode(Packet(Opcode.HELLO, ASN, tlvs=(Parameters(60), StubInfo(5), Termination((OTHER,))))),
)
CDP_SEEDS = (
    cdp.encode(Cdp(15, "spoke-a", PEER, TUNNEL, (LAN, IPv4Network("10.128.0.0/9")))),
    cdp.encode(Cdp(180, "hub", OTHER, TUNNEL, gateway=OTHER)),
)
