"""What is on the ISP's lines, parsed by the tests' own code: IPv4, GRE (RFC 2784, 2890), UDP."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tests.live.namespaces import Netns

ETH_P_ALL = 0x0003
ETH_P_IP, ETH_P_NHRP = 0x0800, 0x2001
PROTO_GRE, PROTO_UDP = 47, 17
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
GRE_KEY = 0x2000


@dataclass(frozen=True)
class Ipv4:
    """An IPv4 packet, inner or outer."""

    source: str
    destination: str
    protocol: int
    ttl: int
    dont_fragment: bool
    length: int
    header: bytes
    payload: bytes


@dataclass(frozen=True)
class Gre:
    """What follows the outer IPv4 header."""

    key: int | None
    protocol: int
    payload: bytes


@dataclass(frozen=True)
class Frame:
    """One packet on one line."""

    line: str
    ip: Ipv4
    gre: Gre | None
    inner: Ipv4 | None
    """The packet in the tunnel; None for NHRP."""

    @property
    def way(self) -> tuple[str, str]:
        """Outer source and destination."""
        return self.ip.source, self.ip.destination


def ipv4(data: bytes) -> Ipv4:
    """Parse a packet; AssertionError when its header is not sound."""
    first, _tos, length, _id, fragment, ttl, protocol = struct.unpack_from("!BBHHHBB", data)
    assert first >> 4 == 4, f"not IPv4: {data[:20].hex()}"
    at = (first & 15) * 4
    assert at <= length <= len(data), f"length {length} in {len(data)} octets"
    assert folded(data[:at]) == 0xFFFF, f"header checksum of {data[:at].hex()}"
    source, destination = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
    return Ipv4(
        source, destination, protocol, ttl, bool(fragment & 0x4000), length, data[:at], data[at:length]
    )


def gre(data: bytes) -> Gre:
    """Parse a GRE header; only the key may be there."""
    flags, protocol = struct.unpack_from("!HH", data)
    assert flags & ~GRE_KEY == 0, f"GRE flags {flags:#x}"
    if not flags & GRE_KEY:
        return Gre(None, protocol, data[4:])
    return Gre(struct.unpack_from("!I", data, 4)[0], protocol, data[8:])


def frame(line: str, data: bytes) -> Frame:
    """One captured IPv4 packet."""
    outer = ipv4(data)
    if outer.protocol != PROTO_GRE:
        return Frame(line, outer, None, None)
    header = gre(outer.payload)
    return Frame(line, outer, header, ipv4(header.payload) if header.protocol == ETH_P_IP else None)


def folded(data: bytes) -> int:
    """Ones' complement sum, octet by octet: 0xFFFF over data that holds its right checksum."""
    total = 0
    for place, octet in enumerate(data):
        total += octet << (0 if place % 2 else 8)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def udp_checksum_is_whole(packet: Ipv4) -> bool:
    """Whether an unfragmented UDP packet has a checksum, and the right one."""
    assert packet.protocol == PROTO_UDP
    length, checksum = struct.unpack_from("!HH", packet.payload, 4)
    assert length == len(packet.payload)
    pseudo = packet.header[12:20] + struct.pack("!BBH", 0, PROTO_UDP, length)
    return checksum != 0 and folded(pseudo + packet.payload) == 0xFFFF


class Capture:
    """Packet sockets on every line of the ISP; each packet appears on each line that it crosses."""

    def __init__(self, isp: Netns, lines: list[str]) -> None:
        self._sockets: dict[str, socket.socket] = {}
        with isp.entered():
            for line in lines:
                sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
                sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
                sock.bind((line, ETH_P_ALL))
                self._sockets[line] = sock

    def read(self) -> list[Frame]:
        """The IPv4 packets since the last look. None may have been lost."""
        found: list[Frame] = []
        for line, sock in self._sockets.items():
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, (_name, protocol, *_rest) = sock.recvfrom(65535)
                    if protocol == ETH_P_IP:
                        found.append(frame(line, data))
            _seen, lost = struct.unpack("=II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
            assert lost == 0, f"{lost} packets not captured on {line}"
        return found

    def gre(self) -> list[Frame]:
        """The GRE packets since the last look."""
        return [each for each in self.read() if each.gre is not None]

    def close(self) -> None:
        """Stop."""
        for sock in self._sockets.values():
            sock.close()


@contextlib.contextmanager
def capture(isp: Netns, lines: list[str]) -> Iterator[Capture]:
    """A capture that ends with the block."""
    made = Capture(isp, lines)
    try:
        yield made
    finally:
        made.close()
