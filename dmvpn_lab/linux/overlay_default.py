"""A default route for the overlay alone, in a table of its own (ip-rule(8)).

A router has a default route already, to its ISP, and the tunnels' outer packets need it: a default
route into a tunnel in the main table would be the tunnel's own way. So this one counts only for what
came in by a LAN or a tunnel, and only where the main table has nothing but its own default route:

    0x2002  from all              main, without its default route
    0x2003  iif LAN or tunnel     the overlay's default route
            from their addresses  the same, for what the router itself says there
            fwmark                the same, for the look-ups of the agent
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping
from ipaddress import IPv4Interface

from dmvpn_lab.linux.netlink import Flag, Kind, Netlink, Request, attribute
from dmvpn_lab.linux.route import RT_TABLE_MAIN
from dmvpn_lab.linux.shortcut_route import (
    FR_ACT_TO_TBL,
    FRA_FWMARK,
    FRA_FWMASK,
    FRA_PRIORITY,
    FRA_TABLE,
    MARK,
)

TABLE = 0x2002
MAIN_FIRST, OVERLAY = 0x2002, 0x2003
"""Priorities of the rules; shortcuts come before."""
FRA_SRC, FRA_IIFNAME, FRA_SUPPRESS_PREFIXLEN = 2, 3, 14
_RULE = struct.Struct("=BBBBBBBBI")
_U32 = struct.Struct("=I")


def begin(netlink: Netlink, incoming: Mapping[str, IPv4Interface]) -> None:
    """Have the table looked up for what comes in by these interfaces, and from their addresses.

    Raises NetlinkError."""
    rules = [_number(FRA_PRIORITY, MAIN_FIRST) + _number(FRA_TABLE, RT_TABLE_MAIN)
             + _number(FRA_SUPPRESS_PREFIXLEN, 0)]  # fmt: skip
    overlay = _number(FRA_PRIORITY, OVERLAY) + _number(FRA_TABLE, TABLE)
    rules.append(overlay + _number(FRA_FWMARK, MARK) + _number(FRA_FWMASK, 0xFFFFFFFF))
    rules += [overlay + attribute(FRA_IIFNAME, name.encode() + b"\0") for name in incoming]
    requests = [_head(0) + rule for rule in rules]
    requests += [_head(32) + overlay + attribute(FRA_SRC, each.ip.packed) for each in incoming.values()]
    for body in requests:
        request = Request(Kind.NEWRULE, Flag.CREATE | Flag.EXCL, body)
        netlink.do("add the overlay's rules", request, ignore=(errno.EEXIST,))


def _head(source_length: int) -> bytes:
    return _RULE.pack(socket.AF_INET, 0, source_length, 0, 0, 0, 0, FR_ACT_TO_TBL, 0)


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, _U32.pack(value))
