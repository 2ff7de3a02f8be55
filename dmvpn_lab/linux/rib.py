"""Routes of our routing protocols in the kernel (ip-route(8); uapi linux/rtnetlink.h).

They are in the main table, but for default routes, which have a table of their own
(`overlay_default.py`).

They bear a protocol number outside zebra's (11, 42, 186 to 198): zebra hides routes with its own
numbers, and removes them when it starts.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.linux.netlink import Flag, Kind, Netlink, Request, attribute, attributes
from dmvpn_lab.linux.overlay_default import TABLE
from dmvpn_lab.linux.route import RT_TABLE_MAIN, RTA_DST, RTA_GATEWAY, RTMSG, RTN_UNICAST

RTN_BLACKHOLE = 6
RTA_OIF = 4
RTA_PRIORITY = 6
RTA_MULTIPATH = 9
RTA_TABLE = 15
_U32 = struct.Struct("=I")
_NEXT_HOP = struct.Struct("=HBBi")
ABSENT = (errno.ESRCH, errno.ENODEV, errno.ENETDOWN)
"""What the removal of a route says that the kernel removed itself with its interface."""

Hop = tuple[int, IPv4Address]
"""(index of the link, gateway)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose routes they are."""

    protocol: int
    """Number in the kernel."""
    priority: int
    """`metric` of ip-route(8): the administrative distance."""


EIGRP = Owner(88, 90)
"""88: EIGRP in IP; 90: of internal routes."""
ODR = Owner(160, 160)


def put(owner: Owner, prefix: IPv4Network, hops: Sequence[Hop]) -> Request:
    """The request that adds or replaces a route; without next hops it discards."""
    kind = RTN_UNICAST if hops else RTN_BLACKHOLE
    body = _head(owner, prefix, kind)
    if len(hops) == 1:
        index, gateway = hops[0]
        body += attribute(RTA_GATEWAY, gateway.packed) + attribute(RTA_OIF, _U32.pack(index))
    elif hops:
        body += attribute(RTA_MULTIPATH, b"".join(_next_hop(hop) for hop in hops))
    return Request(Kind.NEWROUTE, Flag.CREATE | Flag.REPLACE, body)


def delete(owner: Owner, prefix: IPv4Network) -> Request:
    """The request that removes a route of ours; the errors of ABSENT mean that it is gone already."""
    return Request(Kind.DELROUTE, 0, _head(owner, prefix, 0))


def present(netlink: Netlink, owner: Owner) -> set[IPv4Network]:
    """The destinations that have a route of this owner."""
    found = set()
    for body in netlink.dump("list routes", Kind.GETROUTE, RTMSG.pack(socket.AF_INET, *bytes(8))):
        _family, length, _source, _tos, _table, protocol, _scope, _type, _flags = RTMSG.unpack_from(body)
        if protocol == owner.protocol:
            octets = attributes(body[RTMSG.size :]).get(RTA_DST, bytes(4))
            found.add(IPv4Network((octets, length)))
    return found


def _head(owner: Owner, prefix: IPv4Network, kind: int) -> bytes:
    length = prefix.prefixlen
    body = RTMSG.pack(socket.AF_INET, length, 0, 0, 0, owner.protocol, 0, kind, 0)
    body += attribute(RTA_TABLE, _U32.pack(RT_TABLE_MAIN if length else TABLE))
    body += attribute(RTA_PRIORITY, _U32.pack(owner.priority))
    return body + (attribute(RTA_DST, prefix.network_address.packed) if length else b"")


def _next_hop(hop: Hop) -> bytes:
    index, gateway = hop
    gateway_attribute = attribute(RTA_GATEWAY, gateway.packed)
    return _NEXT_HOP.pack(_NEXT_HOP.size + len(gateway_attribute), 0, 0, index) + gateway_attribute
