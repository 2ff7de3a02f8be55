"""A table of routes for what leaves with one source address (ip-rule(8)).

A router with several lines sends by the line that the source address belongs to; its main table has
one default route.
"""

from __future__ import annotations

import errno
import socket
import struct
from ipaddress import IPv4Address

from dmvpn_lab.linux.netlink import Flag, Kind, Netlink, Request, attribute
from dmvpn_lab.linux.overlay_default import FRA_SRC
from dmvpn_lab.linux.shortcut_route import FR_ACT_TO_TBL, FRA_PRIORITY, FRA_TABLE

TABLES = 0x2100
"""The first table of its kind."""
PRIORITY = 0x2004
"""After what the overlay looks up first."""
_RULE = struct.Struct("=BBBBBBBBI")
_U32 = struct.Struct("=I")


def put_rule(netlink: Netlink, source: IPv4Address, table: int) -> None:
    """Have a table looked up for what leaves with that address. Raises NetlinkError."""
    body = _RULE.pack(socket.AF_INET, 0, source.max_prefixlen, 0, 0, 0, 0, FR_ACT_TO_TBL, 0)
    for kind, value in ((FRA_PRIORITY, _U32.pack(PRIORITY)), (FRA_TABLE, _U32.pack(table)),
                        (FRA_SRC, source.packed)):  # fmt: skip
        body += attribute(kind, value)
    request = Request(Kind.NEWRULE, Flag.CREATE | Flag.EXCL, body)
    netlink.do(f"add the rule for {source}", request, ignore=(errno.EEXIST,))
