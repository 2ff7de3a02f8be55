"""The neighbour table of a multipoint tunnel: tunnel address -> NBMA address.

Entries are permanent: the kernel exempts them from its limits (gc_thresh, 1,024 for the whole
host) and never ages them; the agent removes what expires.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

NO_SUCH_ENTRY = 2


async def install(netlink: AsyncIPRoute, index: int, protocol: IPv4Address, nbma: IPv4Address) -> None:
    """Add or replace an entry; returns after the kernel acknowledged. Raises NetlinkError."""
    await netlink.neigh("replace", ifindex=index, dst=str(protocol), lladdr=str(nbma), state="permanent")


async def remove(netlink: AsyncIPRoute, index: int, protocol: IPv4Address) -> None:
    """Remove an entry; one that is not there is no error. Raises NetlinkError."""
    try:
        await netlink.neigh("del", ifindex=index, dst=str(protocol))
    except NetlinkError as error:
        if error.code != NO_SUCH_ENTRY:
            raise
