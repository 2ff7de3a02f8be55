"""The packet socket that carries NHRP over a GRE tunnel.

AF_PACKET, SOCK_DGRAM, bound to protocol 0x2001 on the tunnel: reading gives the octets after the
GRE header and the outer source address; writing takes the outer destination.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address

from dmvpn_lab.nhrp.constants import ETHERTYPE

SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 8 * 1024 * 1024
"""Octets; a burst of thousands of registrations must not be lost."""
BATCH = 256
LARGEST = 65535


class NhrpSocket:
    """NHRP in and out of one tunnel, non-blocking."""

    def __init__(self, interface: str, *, point_to_point: bool) -> None:
        self._interface = interface
        self._point_to_point = point_to_point
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        self._socket.bind((interface, ETHERTYPE))

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def receive(self) -> Iterator[tuple[bytes, IPv4Address | None]]:
        """What has arrived, up to a batch: octets and outer source (None on point-to-point)."""
        for _ in range(BATCH):
            try:
                data, address = self._socket.recvfrom(LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            outer = address[4]
            known = isinstance(outer, bytes) and len(outer) == 4 and not self._point_to_point
            yield data, IPv4Address(outer) if known else None

    def send(self, data: bytes, nbma: IPv4Address) -> None:
        """Send to an outer destination; on point-to-point GRE the kernel fills in its own.

        Raises OSError, for example when there is no route to it.
        """
        link = b"" if self._point_to_point else nbma.packed
        self._socket.sendto(data, (self._interface, ETHERTYPE, 0, 0, link))

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            self._socket.close()
