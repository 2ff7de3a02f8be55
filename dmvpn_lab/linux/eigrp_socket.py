"""EIGRP packets in and out of one interface: IP protocol 88, group 224.0.0.10 (ip(7), raw(7)).

On multipoint GRE the multicast tap copies what goes to the group, like any other multicast.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address

PROTOCOL = 88
GROUP = IPv4Address("224.0.0.10")
RECEIVE_BUFFER = 4 << 20
BATCH = 64
"""Packets read at one go, so that timers and clients are served in between."""
INTERNETWORK_CONTROL = 0xC0
"""Type of service of routing protocols."""
IP_MULTICAST_ALL = 49
SO_RCVBUFFORCE = 33
_LONGEST = 65535
_MREQN = struct.Struct("=4s4si")


class EigrpSocket:
    """Bound to one interface."""

    def __init__(self, interface: str, index: int, address: IPv4Address) -> None:
        """Join the group there. Raises OSError."""
        self._socket = socket.socket(
            socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, PROTOCOL
        )
        try:
            self._configure(interface, index, address)
        except BaseException:
            self._socket.close()
            raise

    def _configure(self, interface: str, index: int, address: IPv4Address) -> None:
        options = self._socket.setsockopt
        options(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        options(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        options(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        options(socket.IPPROTO_IP, socket.IP_TOS, INTERNETWORK_CONTROL)
        options(socket.IPPROTO_IP, socket.IP_TTL, 1)
        options(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        options(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        options(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _MREQN.pack(bytes(4), address.packed, index))
        group = _MREQN.pack(GROUP.packed, address.packed, index)
        options(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; the group is left."""
        self._socket.close()

    def receive(self) -> list[tuple[bytes, IPv4Address]]:
        """Packets that are there, at most BATCH, without IP header, each with its source."""
        packets: list[tuple[bytes, IPv4Address]] = []
        while len(packets) < BATCH:
            try:
                data, (source, _) = self._socket.recvfrom(_LONGEST)
            except BlockingIOError:
                break
            packets.append((data[4 * (data[0] & 0x0F) :], IPv4Address(source)))
        return packets

    def send(self, data: bytes, destination: IPv4Address) -> None:
        """Send to the group or to a neighbour. Raises OSError."""
        self._socket.sendto(data, (str(destination), 0))
