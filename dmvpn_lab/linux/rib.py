"""Routes of a routing protocol in the kernel's main table (ip-route(8); uapi linux/rtnetlink.h).

They bear a protocol number outside zebra's (11, 42, 186 to 198): zebra hides routes with its own
numbers, and removes them when it starts.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.linux.netlink import Flag, Kind, Netlink, Request, attribute, attributes
from dmvpn_lab.linux.route import RT_TABLE_MAIN, RTA_DST, RTA_GATEWAY, RTMSG, RTN_UNICAST

EIGRP = 88
"""Our protocol number: that of EIGRP in IP."""
PRIORITY = 90
"""`metric` of ip-route(8): the administrative distance of internal routes."""
RTN_BLACKHOLE = 6
RTA_OIF = 4
RTA_PRIORITY = 6
RTA_MULTIPATH = 9
_U32 = struct.Struct("=I")
_NEXT_HOP = struct.Struct("=HBBi")
ABSENT = (errno.ESRCH, errno.ENODEV, errno.ENETDOWN)
"""What the removal of a route says that the kernel removed itself with its interface."""

Hop = tuple[int, IPv4Address]
"""(index of the link, gateway)."""


def put(prefix: IPv4Network, hops: Sequence[Hop]) -> Request:
    """The request that adds or replaces a route; without next hops it discards."""
    kind = RTN_UNICAST if hops else RTN_BLACKHOLE
    body = _head(prefix, kind) + attribute(RTA_PRIORITY, _U32.pack(PRIORITY))
    if len(hops) == 1:
        index, gateway = hops[0]
        body += attribute(RTA_GATEWAY, gateway.packed) + attribute(RTA_OIF, _U32.pack(index))
    elif hops:
        body += attribute(RTA_MULTIPATH, b"".join(_next_hop(hop) for hop in hops))
    return Request(Kind.NEWROUTE, Flag.CREATE | Flag.REPLACE, body)


def delete(prefix: IPv4Network) -> Request:
    """The request that removes a route of ours; the errors of ABSENT mean that it is gone already."""
    return Request(Kind.DELROUTE, 0, _head(prefix, 0) + attribute(RTA_PRIORITY, _U32.pack(PRIORITY)))


def present(netlink: Netlink) -> set[IPv4Network]:
    """The destinations that have a route of ours."""
    found = set()
    for body in netlink.dump("list routes", Kind.GETROUTE, RTMSG.pack(socket.AF_INET, *bytes(8))):
        _family, length, _source, _tos, table, protocol, _scope, _type, _flags = RTMSG.unpack_from(body)
        if protocol == EIGRP and table == RT_TABLE_MAIN:
            octets = attributes(body[RTMSG.size :]).get(RTA_DST, bytes(4))
            found.add(IPv4Network((octets, length)))
    return found


def _head(prefix: IPv4Network, kind: int) -> bytes:
    length = prefix.prefixlen
    body = RTMSG.pack(socket.AF_INET, length, 0, 0, RT_TABLE_MAIN, EIGRP, 0, kind, 0)
    return body + (attribute(RTA_DST, prefix.network_address.packed) if length else b"")


def _next_hop(hop: Hop) -> bytes:
    index, gateway = hop
    gateway_attribute = attribute(RTA_GATEWAY, gateway.packed)
    return _NEXT_HOP.pack(_NEXT_HOP.size + len(gateway_attribute), 0, 0, index) + gateway_attribute
