"""Shortcut routes: in a table of their own that is looked up before main (ip-rule(8)).

In the main table they would displace the routing protocols' routes, and zebra would withdraw its
own; a removal would leave a hole. Here a packet takes the main table's route at once when its
shortcut goes. The rule leaves packets with MARK out, which is how the main table alone is asked.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

from dmvpn_lab.address import IpAddress, IpNetwork, network_of
from dmvpn_lab.linux.netlink import PUT, Flag, Kind, Netlink, NetlinkError, Request, attribute, attributes
from dmvpn_lab.linux.route import RTA_DST, RTA_GATEWAY, RTMSG, UNREACHABLE

TABLE = 0x2001
PRIORITY = 0x2001
MARK = 0x2001
PROTOCOL = 78
"""Not one of zebra's, which hides routes that bear its own."""
RTA_OIF, RTA_MULTIPATH, RTA_TABLE, RTA_MARK = 4, 9, 15, 16
RTM_F_FIB_MATCH = 0x2000
RTNH_F_ONLINK = 4
RTNH_F_LINKDOWN = 16
"""The link has no carrier: the route stays and leads nowhere."""
RTN_UNICAST = 1
FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK = 6, 10, 15, 16
FR_ACT_TO_TBL = 1
FIB_RULE_INVERT = 2
_RULE = struct.Struct("=BBBBBBBBI")
_U32 = struct.Struct("=I")
_NEXT_HOP = struct.Struct("=HBBi")
"""struct rtnexthop: length, flags, weight, index of the link; attributes follow."""


@dataclass(frozen=True, slots=True)
class Found:
    """The main table's route for an address."""

    prefix: IpNetwork
    index: int
    """Of the link."""
    gateway: IpAddress | None


def begin(netlink: Netlink, family: int = socket.AF_INET) -> None:
    """Have the table looked up, and nothing in it: an earlier agent's shortcuts come again by need.

    Raises NetlinkError."""
    body = _RULE.pack(family, 0, 0, 0, 0, 0, 0, FR_ACT_TO_TBL, FIB_RULE_INVERT)
    for kind, value in ((FRA_PRIORITY, PRIORITY), (FRA_FWMARK, MARK), (FRA_FWMASK, 0xFFFFFFFF),
                        (FRA_TABLE, TABLE)):  # fmt: skip
        body += attribute(kind, _U32.pack(value))
    flags = Flag.CREATE | Flag.EXCL
    netlink.do("add the shortcuts' rule", Request(Kind.NEWRULE, flags, body), ignore=(errno.EEXIST,))
    dump = RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    old = []
    for entry in netlink.dump("list routes", Kind.GETROUTE, dump):
        values = attributes(entry[RTMSG.size :])
        if values.get(RTA_TABLE) == _U32.pack(TABLE) and RTA_DST in values:
            old.append(network_of(ip_address(values[RTA_DST]), entry[1]))
    netlink.apply([delete_shortcut(prefix) for prefix in old])


def put_shortcut(prefix: IpNetwork, via: IpAddress, index: int) -> Request:
    """The request that adds or replaces a shortcut. Its next hop may be of another tunnel's subnet."""
    body = _route(prefix, RTN_UNICAST, RTNH_F_ONLINK)
    body += attribute(RTA_GATEWAY, via.packed) + attribute(RTA_OIF, _U32.pack(index))
    return Request(Kind.NEWROUTE, PUT, body)


def delete_shortcut(prefix: IpNetwork) -> Request:
    """The request that removes one; ESRCH when there is none."""
    return Request(Kind.DELROUTE, 0, _route(prefix, 0))


def find(netlink: Netlink, address: IpAddress) -> Found | None:
    """The route that an address would take without shortcuts; None: none of use. Raises NetlinkError."""
    size = address.max_prefixlen
    body = RTMSG.pack(_family(address), size, 0, 0, 0, 0, 0, 0, RTM_F_FIB_MATCH)
    body += attribute(RTA_DST, address.packed) + attribute(RTA_MARK, _U32.pack(MARK))
    try:
        answer = netlink.get(f"look up route to {address}", Request(Kind.GETROUTE, 0, body))
    except NetlinkError as error:
        if error.errno in UNREACHABLE:
            return None
        raise
    if answer is None or RTMSG.unpack_from(answer)[-1] & RTNH_F_LINKDOWN:
        return None
    values = attributes(answer[RTMSG.size :])
    prefix = network_of(ip_address(values.get(RTA_DST, bytes(size // 8))), answer[1])
    gateway = values.get(RTA_GATEWAY)
    index = _U32.unpack(values.get(RTA_OIF, bytes(4)))[0]
    if RTA_MULTIPATH in values:  # several next hops: the first stands for all
        _length, _flags, _hops, index = _NEXT_HOP.unpack_from(values[RTA_MULTIPATH])
        gateway = attributes(values[RTA_MULTIPATH][_NEXT_HOP.size : _length]).get(RTA_GATEWAY)
    return Found(prefix, index, None if gateway is None else ip_address(gateway))


def _route(prefix: IpNetwork, kind: int, flags: int = 0) -> bytes:
    head = RTMSG.pack(_family(prefix.network_address), prefix.prefixlen, 0, 0, 0, PROTOCOL, 0, kind, flags)
    body = head + attribute(RTA_TABLE, _U32.pack(TABLE))
    return body + attribute(RTA_DST, prefix.network_address.packed) if prefix.prefixlen else body


def _family(address: IpAddress) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6
