"""The kernel's questions for neighbours: RTM_GETNEIGH in RTNLGRP_NEIGH (net/core/neighbour.c).

It asks for one that it misses, while packets wait, and for one that it has used for a while and
that nobody has confirmed (NUD_PROBE), while packets flow.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

from dmvpn_lab.address import IpAddress
from dmvpn_lab.linux.neighbour import NDA_DST, NDMSG
from dmvpn_lab.linux.netlink import EventsLost, Group, Kind, NetlinkEvents, attributes
from dmvpn_lab.linux.packet_socket import Instruction

_LOAD_HALF, _JUMP_EQUAL, _RETURN = 0x28, 0x15, 0x06
_TYPE_OFFSET = 4
# Classic BPF loads big endian, a netlink header is in the host's byte order.
_WANTED = int.from_bytes(struct.pack("=H", Kind.GETNEIGH), "big")
QUESTIONS_ONLY: tuple[Instruction, ...] = (
    (_LOAD_HALF, 0, 0, _TYPE_OFFSET),
    (_JUMP_EQUAL, 0, 1, _WANTED),
    (_RETURN, 0, 0, 0xFFFFFFFF),
    (_RETURN, 0, 0, 0),
)
"""The kernel drops the rest: each neighbour that the agent itself installs is an event, too."""


class NeighbourWatch:
    """Readable when the kernel asks for neighbours."""

    def __init__(self) -> None:
        self._events = NetlinkEvents([Group.NEIGHBOUR], program=QUESTIONS_ONLY)

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._events.fileno()

    def close(self) -> None:
        """Stop watching."""
        self._events.close()

    def read(self) -> list[tuple[int, IpAddress]]:
        """What it asks for: link index and protocol address, each once.

        Questions that were lost are asked again by the kernel, a second later.
        """
        found: dict[tuple[int, IpAddress], None] = {}
        try:
            messages = self._events.read()
        except EventsLost:
            return []
        for message in messages:
            if message.kind != Kind.GETNEIGH or len(message.body) < NDMSG.size:
                continue
            family, index, _state, _flags, _type = NDMSG.unpack_from(message.body)
            address = attributes(message.body[NDMSG.size :]).get(NDA_DST, b"")
            if (family, len(address)) in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
                found[index, ip_address(address)] = None
        return list(found)
