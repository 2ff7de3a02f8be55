"""CDP packets in and out of one GRE link: EtherType 0x2000 inside GRE.

On multipoint GRE one goes to each NBMA address that gets the tunnel's multicast.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from ipaddress import IPv4Address

from dmvpn_lab.linux.packet_socket import open_packet_socket, send_packet

ETH_P_CDP = 0x2000
RECEIVE_BUFFER = 1 << 20
BATCH = 64
"""Packets read at one go, so that timers and clients are served in between."""
_LONGEST = 65535
_LINK_TROUBLE = (errno.ENETDOWN, errno.ENXIO, errno.ENODEV)
_OUTGOING = 4
"""PACKET_OUTGOING: our own."""


class CdpSocket:
    """Bound to one tunnel."""

    def __init__(self, interface: str) -> None:
        """Raises OSError."""
        self._interface = interface
        self._socket = open_packet_socket(interface, ETH_P_CDP, RECEIVE_BUFFER)

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def receive(self) -> list[bytes]:
        """Packets that are there, at most BATCH. Raises OSError."""
        packets: list[bytes] = []
        for _ in range(BATCH):
            try:
                data, (_name, _protocol, kind, _hardware, _address) = self._socket.recvfrom(_LONGEST)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _LINK_TROUBLE:
                    break
                raise
            if kind != _OUTGOING:
                packets.append(data)
        return packets

    def send(self, data: bytes, peers: Iterable[IPv4Address]) -> int:
        """Send a copy to each NBMA address; how many the kernel refused."""
        refused = 0
        for nbma in peers:
            try:
                send_packet(self._socket, data, self._interface, ETH_P_CDP, nbma)
            except OSError:
                refused += 1
        return refused
