"""Routes by route netlink (ip-route(8); uapi linux/rtnetlink.h)."""

from __future__ import annotations

import errno
import socket
import struct
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress, IpNetwork
from dmvpn_lab.linux.netlink import Flag, Kind, Netlink, NetlinkError, Request, attribute

RTMSG = struct.Struct("=BBBBBBBBI")
_U32 = struct.Struct("=I")
RTA_DST = 1
RTA_SRC = 2
RTA_GATEWAY = 5
RTA_TABLE = 15
RT_TABLE_MAIN = 254
RTPROT_STATIC = 4
RTN_UNICAST = 1
UNREACHABLE = (errno.EINVAL, errno.EACCES, errno.ENONET)
"""What RTM_GETROUTE says of a source that is not ours, a prohibit and a throw route."""


def put_route(netlink: Netlink, destination: IpNetwork, via: IpAddress, table: int = RT_TABLE_MAIN) -> None:
    """Add or replace a static route. Raises NetlinkError."""
    family = socket.AF_INET if destination.version == 4 else socket.AF_INET6
    body = RTMSG.pack(family, destination.prefixlen, 0, 0, 0, RTPROT_STATIC, 0, RTN_UNICAST, 0)
    body += attribute(RTA_TABLE, _U32.pack(table))
    if destination.prefixlen:
        body += attribute(RTA_DST, destination.network_address.packed)
    body += attribute(RTA_GATEWAY, via.packed)
    request = Request(Kind.NEWROUTE, Flag.CREATE | Flag.REPLACE, body)
    netlink.do(f"add route {destination} via {via}", request)


def reachable(netlink: Netlink, destination: IPv4Address, source: IPv4Address) -> bool:
    """Whether the kernel has a route from that local source to a destination, now."""
    body = RTMSG.pack(socket.AF_INET, 32, 32, 0, 0, 0, 0, 0, 0)
    body += attribute(RTA_DST, destination.packed) + attribute(RTA_SRC, source.packed)
    try:
        return netlink.get(f"look up route to {destination}", Request(Kind.GETROUTE, 0, body)) is not None
    except NetlinkError as error:
        if error.errno in UNREACHABLE:
            return False
        raise
