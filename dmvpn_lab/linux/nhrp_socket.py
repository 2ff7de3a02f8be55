"""NHRP packets in and out of one GRE link: EtherType 0x2001 inside GRE (RFC 2332 section 5.1)."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address

from dmvpn_lab.linux.packet_socket import nbma_from, open_packet_socket, send_packet

ETH_P_NHRP = 0x2001
RECEIVE_BUFFER = 8 << 20
"""Octets. The default loses most of a burst of 2,000 registrations."""
BATCH = 64
"""Packets read at one go, so that timers and clients are served in between."""
_LONGEST = 65535
_LINK_TROUBLE = (errno.ENETDOWN, errno.ENXIO, errno.ENODEV)


class NhrpSocket:
    """Bound to one tunnel. Stays usable while the link is down and up again."""

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._socket = open_packet_socket(interface, ETH_P_NHRP, RECEIVE_BUFFER)

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def receive(self) -> list[tuple[bytes, IPv4Address | None]]:
        """Packets that are there, at most BATCH, each with its outer source.

        The source is None on point-to-point GRE. Raises OSError.
        """
        packets: list[tuple[bytes, IPv4Address | None]] = []
        while len(packets) < BATCH:
            try:
                data, (_name, _protocol, _kind, _hardware, address) = self._socket.recvfrom(_LONGEST)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno in _LINK_TROUBLE:  # said once, when the link goes down
                    break
                raise
            packets.append((data, nbma_from(address)))
        return packets

    def send(self, data: bytes, nbma: IPv4Address) -> None:
        """Send one packet to a NBMA address. Raises OSError.

        Point-to-point GRE has its destination and ignores the address.
        """
        send_packet(self._socket, data, self._interface, ETH_P_NHRP, nbma)
