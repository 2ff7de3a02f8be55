"""ESP states in the kernel by XFRM netlink (uapi linux/xfrm.h): count, delete, hear of deletions.

    xfrm_usersa_info (224 octets)   selector 56 | id: daddr 16, spi 4, proto 1 | saddr 16 at 80 |
                                    current lifetime at 160: octets u64, packets u64 | ...
    xfrm_usersa_id (24 octets)      daddr 16 | spi 4 | family 2 | proto 1

IKE installs states; this file only looks after what was forgotten.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.linux.netlink import EventsLost, Netlink, NetlinkEvents, Request

NETLINK_XFRM = 6
XFRM_MSG_DELSA, XFRM_MSG_GETSA = 0x11, 0x12
XFRM_MSG_FLUSHSA, XFRM_MSG_FLUSHPOLICY = 0x1C, 0x1D
XFRMNLGRP_SA, XFRMNLGRP_POLICY = 3, 4
IPPROTO_ESP = 50

_INFO_SIZE = 224
_DESTINATION, _SPI, _PROTOCOL, _SOURCE, _CURRENT = 56, 72, 76, 80, 160
_ID = struct.Struct("!16sI")
_ID_TAIL = struct.Struct("=HBx")


@dataclass(frozen=True, slots=True)
class State:
    """One ESP state."""

    source: IPv4Address
    destination: IPv4Address
    spi: int
    octets: int
    packets: int


def list_states(netlink: Netlink) -> list[State]:
    """All ESP states of IPv4 in this namespace. `netlink` is of family NETLINK_XFRM."""
    found = []
    for body in netlink.dump("list ESP states", XFRM_MSG_GETSA, b""):
        if len(body) >= _INFO_SIZE and body[_PROTOCOL] == IPPROTO_ESP:
            octets, packets = struct.unpack_from("=QQ", body, _CURRENT)
            found.append(
                State(
                    source=IPv4Address(body[_SOURCE : _SOURCE + 4]),
                    destination=IPv4Address(body[_DESTINATION : _DESTINATION + 4]),
                    spi=int.from_bytes(body[_SPI : _SPI + 4], "big"),
                    octets=octets,
                    packets=packets,
                )
            )
    return found


def delete_states(netlink: Netlink, states: Iterable[tuple[IPv4Address, int]]) -> None:
    """Remove states, each named by destination and SPI; some may be gone. Raises NetlinkError."""
    for destination, spi in states:
        body = _ID.pack(destination.packed, spi) + _ID_TAIL.pack(socket.AF_INET, IPPROTO_ESP)
        request = Request(XFRM_MSG_DELSA, 0, body)
        netlink.do(f"delete ESP state {spi:08x}", request, ignore=(errno.ESRCH,))


class StateWatch:
    """Readable whenever states were deleted, by whomever."""

    def __init__(self) -> None:
        self._events = NetlinkEvents((XFRMNLGRP_SA, XFRMNLGRP_POLICY), NETLINK_XFRM)

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._events.fileno()

    def close(self) -> None:
        """Stop watching."""
        self._events.close()

    def read(self) -> frozenset[int] | None:
        """SPIs of the states that were deleted; None when all states or policies were."""
        try:
            messages = self._events.read()
        except EventsLost:
            return frozenset()  # the next negotiation or DPD will tell
        if any(message.kind in (XFRM_MSG_FLUSHSA, XFRM_MSG_FLUSHPOLICY) for message in messages):
            return None
        return frozenset(_ID.unpack_from(message.body)[1] for message in messages
                         if message.kind == XFRM_MSG_DELSA and len(message.body) >= _ID.size)  # fmt: skip
