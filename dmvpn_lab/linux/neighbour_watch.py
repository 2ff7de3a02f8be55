"""What the kernel says of neighbours in RTNLGRP_NEIGH (net/core/neighbour.c).

RTM_GETNEIGH is a question: for a neighbour that it misses, while packets wait, and for one that it
has used for a while and that nobody has confirmed (NUD_PROBE), while packets flow. RTM_NEWNEIGH and
RTM_DELNEIGH tell of changes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from dmvpn_lab.address import IpAddress
from dmvpn_lab.linux.neighbour import Neighbour, decode_neighbour
from dmvpn_lab.linux.netlink import EventsLost, Group, Kind, NetlinkEvents
from dmvpn_lab.linux.packet_socket import Instruction

_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PORT_OFFSET = 12


def unless_caused_by(port: int) -> tuple[Instruction, ...]:
    """The kernel drops what one netlink socket caused: each neighbour that a hub installs is an event.

    Classic BPF loads big endian, a netlink header is in the host's byte order.
    """
    return (
        (_LOAD_WORD, 0, 0, _PORT_OFFSET),
        (_JUMP_EQUAL, 0, 1, int.from_bytes(struct.pack("=I", port), "big")),
        (_RETURN, 0, 0, 0),
        (_RETURN, 0, 0, 0xFFFFFFFF),
    )


@dataclass(slots=True)
class Heard:
    """What the kernel has said since the last time."""

    wanted: dict[tuple[int, IpAddress], None] = field(default_factory=dict)
    """Link index and protocol address that it asks for, each once, in order."""
    changed: list[Neighbour] = field(default_factory=list)
    """Entries as they are now; of state 0 when they are gone."""
    lost: bool = False
    """It said more, about changes too. Questions are asked again, a second later."""


class NeighbourWatch:
    """Readable when the kernel asks for neighbours, or somebody else than `port` changed some."""

    def __init__(self, port: int) -> None:
        self._events = NetlinkEvents([Group.NEIGHBOUR], program=unless_caused_by(port))

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._events.fileno()

    def close(self) -> None:
        """Stop watching."""
        self._events.close()

    def read(self) -> Heard:
        """All that is there."""
        heard = Heard()
        try:
            messages = self._events.read()
        except EventsLost:
            heard.lost = True
            return heard
        for message in messages:
            entry = decode_neighbour(message.body)
            if entry is None:
                continue
            if message.kind == Kind.GETNEIGH:
                heard.wanted[entry.index, entry.protocol] = None
            elif message.kind == Kind.NEWNEIGH:
                heard.changed.append(entry)
            elif message.kind == Kind.DELNEIGH:
                heard.changed.append(replace(entry, state=0))
        return heard
