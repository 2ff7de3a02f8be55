"""Copies multicast that leaves a multipoint tunnel to each peer of its multicast set.

A packet socket on the tunnel sees what the kernel sends; one copy goes to each NBMA address,
past the queueing layer (PACKET_QDISC_BYPASS), so that the copies are not seen again. The
original, which Linux would send to the inner group in clear, is dropped after encapsulation by
the node's nftables rule.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections import Counter
from ipaddress import IPv4Address

from dmvpn_lab.nhrp.buffer import checksum

ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_QDISC_BYPASS = 20
SO_ATTACH_FILTER = 26
CHECKSUM_NOT_READY = 1 << 3
"""TP_STATUS_CSUMNOTREADY: the transport checksum is for the hardware to complete."""
UDP = 17
BATCH = 64
LARGEST = 65535

# Classic BPF: outgoing (packet type 4) and IPv4 and destined to 224.0.0.0/4 or 255.255.255.255.
# Loads from 0xfffff000 up ask the kernel for facts of the packet (SKF_AD_OFF).
FILTER = (
    (0x28, 0, 0, 0xFFFFF000),  # ldh protocol
    (0x15, 0, 7, ETH_P_IP),
    (0x28, 0, 0, 0xFFFFF004),  # ldh packet type
    (0x15, 0, 5, socket.PACKET_OUTGOING),
    (0x20, 0, 0, 16),  # ld destination address
    (0x15, 2, 0, 0xFFFFFFFF),
    (0x54, 0, 0, 0xF0000000),
    (0x15, 0, 1, 0xE0000000),
    (0x06, 0, 0, LARGEST),
    (0x06, 0, 0, 0),
)


class MulticastTap:
    """The replication of one multipoint tunnel."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self.peers: frozenset[IPv4Address] = frozenset()
        self.copies: Counter[IPv4Address] = Counter()
        """Copies sent to each peer since the agent began."""
        self.failed = 0
        self._in = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
        _attach(self._in)
        self._in.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._in.bind((interface, ETH_P_ALL))
        self._out = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
        self._out.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)

    def fileno(self) -> int:
        """For the event loop."""
        return self._in.fileno()

    def copy(self) -> None:
        """Copy what the kernel sent since the last call, up to a batch."""
        for _ in range(BATCH):
            try:
                data, ancillary, _flags, _address = self._in.recvmsg(LARGEST, socket.CMSG_SPACE(20))
            except (BlockingIOError, InterruptedError):
                return
            if _partial(ancillary):
                data = complete_udp_checksum(data)
            for peer in self.peers:
                self._send(data, peer)

    def close(self) -> None:
        """Let go of both sockets."""
        self._in.close()
        self._out.close()

    def _send(self, data: bytes, peer: IPv4Address) -> None:
        try:
            self._out.sendto(data, (self._interface, ETH_P_IP, 0, 0, peer.packed))
        except OSError:
            self.failed += 1  # no route to this peer now; multicast is not repeated
        else:
            self.copies[peer] += 1


def complete_udp_checksum(packet: bytes) -> bytes:
    """An IPv4 packet with its UDP checksum filled in; other packets come back as they are."""
    header = (packet[0] & 0x0F) * 4
    fragment = struct.unpack_from("!H", packet, 6)[0] & 0x1FFF
    if packet[9] != UDP or fragment or len(packet) < header + 8:
        return packet
    length = struct.unpack_from("!H", packet, header + 4)[0]
    datagram = packet[header : header + length]
    zeroed = datagram[:6] + b"\0\0" + datagram[8:]
    pseudo = packet[12:20] + struct.pack("!BBH", 0, UDP, length)
    whole = checksum(pseudo + zeroed) or 0xFFFF  # 0 would mean "no checksum" (RFC 768)
    return packet[: header + 6] + struct.pack("!H", whole) + packet[header + 8 :]


def _partial(ancillary: list[tuple[int, int, bytes]]) -> bool:
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status: int = struct.unpack_from("=I", data)[0]
            return bool(status & CHECKSUM_NOT_READY)
    return False


def _attach(tap: socket.socket) -> None:
    """Attach FILTER; the program's memory need only live during the call."""
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in FILTER)
    memory = ctypes.create_string_buffer(program)
    tap.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(FILTER), ctypes.addressof(memory))
    )
