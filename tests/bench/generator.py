"""Many spokes played by one process: registration requests in GRE, each from an NBMA address of its own.

The packets leave by a packet socket on the hub's access line and the answers are read there, so
nothing of the peer's kernel stands between. Every answer is decoded once the clock has stopped.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from dmvpn_lab.linux.packet_socket import ETH_P_IP, open_packet_socket
from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.constants import CieCode, PacketType
from dmvpn_lab.nhrp.packet import decode
from tests.bench import registration
from tests.bench.nodes import World

WINDOW = 64
"""Requests without an answer at a time."""
SILENCE_S = 5.0
"""So long without an answer, and what is still open counts as lost."""
PATIENCE_S = 30.0
GRE = struct.pack("!HHI", 0x2000, 0x2001, 1)
"""With the key 1."""
_IP = struct.Struct("!BBHHHBBH4s4s")
_NHRP_AT = _IP.size + len(GRE)
_TYPE_AT = _NHRP_AT + 17


@dataclass(slots=True)
class Outcome:
    """What became of a run."""

    requests: int
    seconds: float = 0.0
    """From the first request to the last answer."""
    answers: dict[bytes, bytes] = field(default_factory=dict)
    """NBMA address -> the last reply to it."""

    @property
    def lost(self) -> int:
        """Requests without an answer."""
        return self.requests - len(self.answers)


class Generator:
    """On the ISP's end of the hub's line."""

    def __init__(self, world: World) -> None:
        link = world.nodes["hub"].ip("-br link show eth1").split()[2]
        self._hub = ("eth1", ETH_P_IP, 0, 0, bytes.fromhex(link.replace(":", "")))
        self._number = 0
        with world.isp.entered():
            self._socket = open_packet_socket("eth1", ETH_P_IP, 32 << 20)

    def until_served(self) -> None:
        """Register one spoke, again and again until the hub answers. Raises AssertionError."""
        deadline = time.monotonic() + PATIENCE_S
        while self.run(60000, 1, silence_s=0.5).lost:
            assert time.monotonic() < deadline, f"the hub did not answer in {PATIENCE_S:.0f} s"

    def run(self, first: int, spokes: int, window: int = WINDOW, silence_s: float = SILENCE_S) -> Outcome:
        """Register that many spokes from number `first` on, so many at a time."""
        self._number += 1
        packets = [outer(registration.nbma(spoke), registration.request(spoke, self._number))
                   for spoke in range(first, first + spokes)]  # fmt: skip
        outcome = Outcome(spokes)
        sent, began = 0, time.perf_counter()
        while len(outcome.answers) < spokes:
            while sent < spokes and sent - len(outcome.answers) < window:
                self._socket.sendto(packets[sent], self._hub)
                sent += 1
            if not select.select([self._socket], [], [], silence_s)[0]:
                break
            self._read(outcome)
            outcome.seconds = time.perf_counter() - began
        self._check(outcome, first)
        return outcome

    def _read(self, outcome: Outcome) -> None:
        """Take the answers that are there."""
        while True:
            try:
                packet = self._socket.recv(2048)
            except BlockingIOError:
                return
            if is_nhrp(packet, PacketType.REGISTRATION_REPLY):
                outcome.answers[packet[16:20]] = packet

    def _check(self, outcome: Outcome, first: int) -> None:
        """Every answer is Success, to the request of this run, and to one that was sent."""
        asked = {registration.nbma(first + spoke).packed for spoke in range(outcome.requests)}
        for nbma, packet in outcome.answers.items():
            reply = decode(packet[_NHRP_AT:])
            assert nbma in asked, IPv4Address(nbma)
            assert reply.request_id == self._number, reply
            assert reply.cies[0].code == CieCode.SUCCESS, reply

    def close(self) -> None:
        """Stop."""
        self._socket.close()


def outer(source: IPv4Address, data: bytes) -> bytes:
    """NHRP in GRE in IPv4 to the hub."""
    fields = (0x45, 0xC0, _NHRP_AT + len(data), 0, 0, 64, socket.IPPROTO_GRE)
    addresses = (source.packed, registration.HUB_NBMA.ip.packed)
    whole = checksum(_IP.pack(*fields, 0, *addresses))
    return _IP.pack(*fields, whole, *addresses) + GRE + data


def is_nhrp(packet: bytes, kind: int) -> bool:
    """Whether an IPv4 packet is NHRP of that type in GRE with the key."""
    return packet[9] == socket.IPPROTO_GRE and packet[20:28] == GRE and packet[_TYPE_AT] == kind
