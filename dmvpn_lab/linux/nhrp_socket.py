"""NHRP packets in and out of one GRE link: EtherType 0x2001 inside GRE (RFC 2332 section 5.1)."""

from __future__ import annotations

import itertools
import socket
import sys
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

from dmvpn_lab.address import PeerAddress
from dmvpn_lab.linux.packet_batch import Inbox, Outbox
from dmvpn_lab.linux.packet_socket import open_packet_socket, send_packet

ETH_P_NHRP = 0x2001
RECEIVE_BUFFER = 8 << 20
"""Octets. The default loses most of a burst of 2,000 registrations."""
BATCH = 64
"""Packets read at one go, so that timers and clients are served in between."""
FEW = 4
"""Packets that are sent faster one by one."""
KNOWN_LIMIT = 16384
"""Addresses of senders that are kept: to make one costs more than to receive its packet."""


class KnownSenders(dict[int, PeerAddress]):
    """Addresses by their octets as a number, in the host's byte order; one that is missing is made."""

    def __missing__(self, number: int) -> PeerAddress:
        if len(self) >= KNOWN_LIMIT:
            self.clear()
        address = PeerAddress(number.to_bytes(4, sys.byteorder))
        self[number] = address
        return address


class NhrpSocket:
    """Bound to one tunnel. Stays usable while the link is down and up again."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._socket = open_packet_socket(interface, ETH_P_NHRP, RECEIVE_BUFFER)
        self._inbox = Inbox(self._socket, BATCH)
        self._outbox = Outbox(self._socket, socket.if_nametoindex(interface), ETH_P_NHRP, BATCH)
        self._known = KnownSenders()

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def receive(self) -> Iterator[tuple[bytes, IPv4Address | None]]:
        """Packets that are there, at most BATCH, each with its outer source.

        The source is None on point-to-point GRE. Raises OSError.
        """
        packets, senders = self._inbox.take()
        if senders is None:
            return zip(packets, itertools.repeat(None))
        return zip(packets, map(self._known.__getitem__, senders), strict=True)

    def send(self, packets: Sequence[bytes], nbmas: Sequence[IPv4Address]) -> int:
        """Send packets, each to its NBMA address. Returns how many the kernel did not take.

        Point-to-point GRE has its destination and ignores the address.
        """
        if len(packets) > FEW:
            return self._outbox.send(packets, [nbma.packed for nbma in nbmas])
        failed = 0
        for data, nbma in zip(packets, nbmas, strict=True):
            try:
                send_packet(self._socket, data, self._interface, ETH_P_NHRP, nbma)
            except OSError:
                failed += 1
        return failed
