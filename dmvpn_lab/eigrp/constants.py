"""Numbers of RFC 7868."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from ipaddress import IPv4Address

PROTOCOL = 88
"""IP protocol (section 6.1)."""
GROUP = IPv4Address("224.0.0.10")
VERSION = 2
HEADER_LENGTH = 20
UNREACHABLE = 0xFFFFFFFF
"""A delay, and a composite metric, of what cannot be reached."""
HOP_LIMIT = 100
K_VALUES = (1, 0, 1, 0, 0, 0)
GOODBYE_K = (255, 255, 255, 255, 255)
"""K1 to K5 in the hello of a router that leaves (section 6.7.7, implementation note)."""
SOFTWARE = (1, 0, 1, 2)
"""Our release, and the version of the TLVs that we read and write: 1.2, the classic ones."""
WIDE_SOFTWARE = (1, 0, 2, 0)
"""The same, with the wide ones."""

RETRIES = 16
"""Transmissions of a packet without acknowledgment, then the neighbour is reset (section 5.2)."""
RTO_FIRST_S = 2.0
RTO_LEAST_S = 0.2
RTO_MOST_S = 5.0
RTO_GROWTH = 1.5
RTO_OF_SRTT = 6
SIA_HALF_S = 90.0
"""Half of the active time (section 4.4.1)."""
SIA_QUERIES = 3
EXPEDITED_S = 0.1
"""The shortest between two hellos of an interface, when new neighbours ask for more."""
NEWCOMERS_S = 1.0
"""The same, when peers came or moved that may be no neighbours."""


class Opcode(IntEnum):
    """Section 6.5."""

    UPDATE = 1
    REQUEST = 2
    QUERY = 3
    REPLY = 4
    HELLO = 5
    SIA_QUERY = 10
    SIA_REPLY = 11


class Flag(IntFlag):
    """Flags of the header (section 6.5)."""

    INIT = 0x1
    CONDITIONAL_RECEIVE = 0x2
    RESTART = 0x4
    END_OF_TABLE = 0x8


class TlvType(IntEnum):
    """Section 6.7 and 6.8.5."""

    PARAMETER = 0x0001
    AUTHENTICATION = 0x0002
    SEQUENCE = 0x0003
    SOFTWARE_VERSION = 0x0004
    MULTICAST_SEQUENCE = 0x0005
    PEER_INFORMATION = 0x0006
    """Reserved in the RFC; routers say in it that they are a stub."""
    PEER_TERMINATION = 0x0007
    IPV4_INTERNAL = 0x0102
    IPV4_EXTERNAL = 0x0103
    WIDE_INTERNAL = 0x0602
    WIDE_EXTERNAL = 0x0603


class RouteFlag(IntFlag):
    """Flags of a route (section 6.8.1)."""

    SOURCE_WITHDRAW = 0x1
    CANDIDATE_DEFAULT = 0x2
    ACTIVE = 0x4


class Stub(IntFlag):
    """What a stub router announces."""

    CONNECTED = 0x1
    STATIC = 0x2
    SUMMARY = 0x4
    REDISTRIBUTED = 0x8
    LEAK = 0x10
    RECEIVE_ONLY = 0x20


class External(IntEnum):
    """Where a redistributed route comes from (section 6.2)."""

    STATIC = 3
    CONNECTED = 11
