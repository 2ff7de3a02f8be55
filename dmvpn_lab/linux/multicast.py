"""The multicast tap of an mGRE link: copies each outgoing multicast packet to a set of peers.

    OSPF, say --> tunnel0 --+--> GRE to the group's own address: dropped in OUTPUT by nftables
                            |
                            +--> tap (sees it before GRE) --> one copy to each NBMA address

The copies skip the queueing layer (PACKET_QDISC_BYPASS), where taps listen: they do not come back.
Point-to-point GRE carries multicast by itself and needs no tap.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.linux.packet_socket import (
    ETH_P_ALL,
    ETH_P_IP,
    ETH_P_IPV6,
    PACKET_AUXDATA,
    PACKET_QDISC_BYPASS,
    SOL_PACKET,
    Instruction,
    open_packet_socket,
    send_packet,
)
from dmvpn_lab.linux.udp_checksum import complete_udp_checksum

RECEIVE_BUFFER = 2 << 20
BATCH = 32
_LONGEST = 65535
_AUXDATA = struct.Struct("=IIIHHHH")
_TP_STATUS_CSUMNOTREADY = 1 << 3
_LINK_TROUBLE = (errno.ENETDOWN, errno.ENXIO, errno.ENODEV)

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_AND, _JUMP_EQUAL, _RETURN = 0x54, 0x15, 0x06
_SKF_AD_PROTOCOL = 0xFFFFF000
_SKF_AD_PKTTYPE = 0xFFFFF004
_PACKET_OUTGOING = 4
_NOTHING = 0xFFFFFFFF
"""No protocol's number."""


def outgoing_multicast(subnet: IPv4Network | None, *, ipv6: bool = False) -> list[Instruction]:
    """The kernel's filter: outgoing IPv4 to a group or to a broadcast address of the subnet.

    With `ipv6` also outgoing IPv6 to a group; without a subnet that alone.
    """
    # In a subnet of one or two addresses (/32, /31) the last one is a host's.
    wide = subnet is not None and subnet.prefixlen <= 30
    broadcast = int(subnet.broadcast_address) if subnet is not None and wide else 0xFFFFFFFF
    return [
        (_LOAD_BYTE, 0, 0, _SKF_AD_PKTTYPE),
        (_JUMP_EQUAL, 0, 10, _PACKET_OUTGOING),
        (_LOAD_HALF, 0, 0, _SKF_AD_PROTOCOL),
        (_JUMP_EQUAL, 0, 5, ETH_P_IP if subnet is not None else _NOTHING),
        (_LOAD_WORD, 0, 0, 16),  # IPv4 destination
        (_JUMP_EQUAL, 7, 0, 0xFFFFFFFF),
        (_JUMP_EQUAL, 6, 0, broadcast),
        (_AND, 0, 0, 0xF0000000),
        (_JUMP_EQUAL, 4, 3, 0xE0000000),
        (_JUMP_EQUAL, 0, 2, ETH_P_IPV6 if ipv6 else _NOTHING),
        (_LOAD_BYTE, 0, 0, 24),  # the first octet of the IPv6 destination
        (_JUMP_EQUAL, 1, 0, 0xFF),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, 0x40000),
    ]


class MulticastTap:
    """Replicates multicast of one mGRE link, to the peers set last and to nobody else."""

    def __init__(self, interface: str, subnet: IPv4Network | None, *, ipv6: bool = False) -> None:
        self._interface = interface
        self._peers: set[IPv4Address] = set()
        self.copies: Counter[IPv4Address] = Counter()
        """Copies sent, by NBMA address; of present peers only."""
        self.packets = 0
        """Multicast packets seen."""
        self.sent = 0
        """Copies sent, to all peers together, also to those that are gone."""
        self.failures = 0
        """Copies that the kernel did not take."""
        program = outgoing_multicast(subnet, ipv6=ipv6)
        self._socket = open_packet_socket(interface, ETH_P_ALL, RECEIVE_BUFFER, program)
        self._socket.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def set_peers(self, peers: frozenset[IPv4Address]) -> None:
        """The whole set of NBMA addresses that get a copy from now on."""
        for gone in self._peers - peers:
            del self.copies[gone]
        self._peers = set(peers)

    def change_peers(self, added: Iterable[IPv4Address], removed: Iterable[IPv4Address]) -> None:
        """Send copies to these too, and no more to those."""
        for gone in removed:
            self._peers.discard(gone)
            del self.copies[gone]
        self._peers.update(added)

    def pump(self) -> None:
        """Copy the packets that are there, at most BATCH. Raises OSError."""
        for _ in range(BATCH):
            try:
                data, ancillary, _flags, _address = self._socket.recvmsg(
                    _LONGEST, socket.CMSG_SPACE(_AUXDATA.size)
                )
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _LINK_TROUBLE:
                    return
                raise
            self.packets += 1
            self._copy(complete_udp_checksum(data) if _unfinished(ancillary) else data)

    def _copy(self, packet: bytes) -> None:
        protocol = ETH_P_IPV6 if packet[0] >> 4 == 6 else ETH_P_IP
        for peer in self._peers:
            try:
                send_packet(self._socket, packet, self._interface, protocol, peer)
            except OSError:
                self.failures += 1  # one peer's trouble is not the others'
            else:
                self.sent += 1
                self.copies[peer] += 1


def _unfinished(ancillary: list[tuple[int, int, bytes]]) -> bool:
    """Whether the kernel says that the packet's checksum is not complete."""
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA and len(data) >= 4:
            (status,) = struct.unpack_from("=I", data)
            return bool(status & _TP_STATUS_CSUMNOTREADY)
    return False
