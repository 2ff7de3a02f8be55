"""What is fuzzed: each target takes octets, and raises when something is wrong that may never be."""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from dmvpn_lab.address import IpAddress
from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, Notify
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.config import TunnelConfig
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension
from dmvpn_lab.nhrp.packet import Packet, decode, encode
from tests.fuzz import routing, stations
from tests.vectors import cisco

Target = Callable[[bytes], None]
Repair = Callable[[bytes], bytes]
HUB, HUB_NBMA = IPv4Address("10.0.0.1"), IPv4Address("172.17.0.1")
SENDER, SPOKE = IPv4Address("172.16.1.1"), IPv4Address("10.0.0.11")
HEADER = 20
EDGES = tuple(bytes((octet,)) for octet in (0, 1, 4, 0x7F, 0x80, 0xFF))
"""Octets that lengths and flags are wrong with."""


def decoded(data: bytes) -> None:
    """Octets are a packet or a DecodeError; a packet can be written, and read again as the same."""
    try:
        packet = decode(data)
    except DecodeError:
        return
    with contextlib.suppress(struct.error):  # a sum of parts beyond 65535 octets cannot be written
        assert decode(encode(packet)) == packet


class Refused:
    """A hub of phase 3 that takes packets from one sender; what it refuses leaves nothing."""

    def __init__(self) -> None:
        self._config = TunnelConfig(
            name="tunnel0", mode="multipoint", source="eth1", address=IPv4Interface("10.0.0.1/24"),
            network_id=1, mtu=1400, map_multicast_dynamic=True, redirect=True,
        )  # fmt: skip
        self._begin()

    def _begin(self) -> None:
        self._hub = Agent([self._config], random.Random(1))
        self._hub.source_changed("tunnel0", HUB_NBMA, 0.0)
        self._now = 0.0
        self._known = self._state()

    def __call__(self, data: bytes) -> None:
        """One packet. The cache may change by a registration or purge that it says it has carried out."""
        self._now += 0.01
        before = self._known
        actions = self._hub.receive("tunnel0", data, SENDER, self._now)
        told = self._carry_out(actions)
        self._known = after = self._state()
        if before != after and set(before) != set(after):
            assert {"peer-registered", "peer-expired"} & told, (before, after, told)
            assert all(nbma == SENDER for _, nbma in after), after
        if len(after) > 200:
            self._begin()

    def _carry_out(self, actions: list[Action]) -> set[str]:
        """Give the kernel's Yes to each neighbour; the events."""
        told: set[str] = set()
        for action in actions:
            if isinstance(action, Notify):
                told.add(action.name)
            elif isinstance(action, InstallNeighbour) and action.token is not None:
                told |= self._carry_out(self._hub.installed(action.token, True, self._now))
        return told

    def _state(self) -> list[tuple[IpAddress, IPv4Address]]:
        """A list: the hash of an address costs more than a packet."""
        return [(b.protocol, b.nbma) for cache in self._hub.domains.values() for b in cache]


TARGETS: dict[str, Callable[[], Target]] = {
    "decode": lambda: decoded, "agent": Refused, "transit": stations.Transit, "spoke": stations.Spoke,
}  # fmt: skip


def repaired(data: bytes) -> bytes:
    """The same octets with size and checksum made right, else nothing gets past the header."""
    if len(data) < HEADER:
        return data
    out = bytearray(data[:65535])
    struct.pack_into("!H", out, 10, len(out))
    out[12:14] = bytes(2)
    struct.pack_into("!H", out, 12, checksum(bytes(out)))
    return bytes(out)


def _seeds() -> tuple[bytes, ...]:
    """Cisco's packets, and those that the hub of `Refused` takes."""
    ours = [
        Packet(kind, flags, 5, SENDER, SPOKE, to, (entry,), (Extension(3), Extension(4), Extension(5)))
        for kind, flags, to, entry in (
            (PacketType.REGISTRATION_REQUEST, 0, HUB, Cie(prefix_length=32, holding_time_s=300)),
            (PacketType.REGISTRATION_REQUEST, 0x8000, HUB, Cie(holding_time_s=300)),
            (PacketType.RESOLUTION_REQUEST, 0xC000, SPOKE, Cie(prefix_length=32, holding_time_s=300)),
            (PacketType.PURGE_REQUEST, 0, HUB, Cie(protocol=SPOKE)),
        )
    ]
    return (*sorted(cisco.ALL.values()), *map(encode, ours))


SEEDS = _seeds()
OWN_SEEDS = {"transit": stations.TRANSIT_SEEDS, "spoke": stations.SPOKE_SEEDS}


@dataclass(frozen=True, slots=True)
class Subject:
    """What is fuzzed, from which sound packets, and how a mutated one gets past the header."""

    make: Callable[[], Target]
    seeds: tuple[bytes, ...]
    repair: Repair


def subject(name: str) -> Subject:
    """By its name on the command line."""
    if name in TARGETS:
        return Subject(TARGETS[name], OWN_SEEDS.get(name, SEEDS), repaired)
    return ROUTING[name]


ROUTING = {
    "eigrp-decode": Subject(lambda: routing.eigrp_decoded, routing.EIGRP_SEEDS, routing.eigrp_repaired),
    "eigrp-speaker": Subject(routing.EigrpSpeaker, routing.EIGRP_SEEDS, routing.eigrp_repaired),
    "cdp-decode": Subject(lambda: routing.cdp_decoded, routing.CDP_SEEDS, routing.cdp_repaired),
    "odr-hub": Subject(routing.OdrHub, routing.CDP_SEEDS, routing.cdp_repaired),
}
"""EIGRP's and CDP's, beside NHRP's TARGETS."""


def mutated(data: bytes, rng: random.Random, repair: Repair = repaired) -> bytes:
    """A few octets changed; mostly others cut, doubled or put in, too."""
    out = bytearray(data)
    chance = rng.random  # randrange and choice cost as much as the decoder
    kinds = 1 if chance() < 0.5 else 5  # as often nothing is moved, so that offsets stay right
    for _ in range(1 + int(chance() * 4)):
        at = int(chance() * (len(out) + 1))
        match int(chance() * kinds):
            case 0:
                out[at : at + 1] = bytes((int(chance() * 256),))
            case 1:
                del out[at : at + 1 + int(chance() * 12)]
            case 2:
                out[at:at] = rng.randbytes(1 + int(chance() * 12))
            case 3:
                out[at:at] = out[at : at + 1 + int(chance() * 32)]
            case _:
                out[at : at + 1] = EDGES[int(chance() * len(EDGES))]
    return repair(bytes(out)) if chance() < 0.95 else bytes(out)
