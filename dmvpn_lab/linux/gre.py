"""GRE links by netlink: multipoint (no remote) and point-to-point, with key.

Kernel: net/ipv4/ip_gre.c. A `gre` device without remote is multipoint: its neighbour table maps
a tunnel address to the peer's NBMA address.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from dmvpn_lab.nhrp.config import TunnelConfig

TTL = 64
"""Nonzero, so that the outer header carries DF: a fragment would be lost silently."""
KEY_PRESENT = 0x2000
"""GRE_KEY of include/uapi/linux/if_tunnel.h."""


def link_attributes(config: TunnelConfig, nbma: IPv4Address) -> dict[str, Any]:
    """Attributes of the link as pyroute2 names them."""
    attributes: dict[str, Any] = {"kind": "gre", "gre_local": str(nbma), "gre_ttl": TTL}
    if config.destination is not None:
        attributes["gre_remote"] = str(config.destination)
    if config.key is not None:
        attributes |= {"gre_ikey": config.key, "gre_okey": config.key}
        attributes |= {"gre_iflags": KEY_PRESENT, "gre_oflags": KEY_PRESENT}
    return attributes


async def ensure(netlink: AsyncIPRoute, config: TunnelConfig, nbma: IPv4Address) -> int:
    """Make the tunnel, or turn an existing one to this source address. Returns its index.

    An existing device keeps its neighbours, addresses and routes: an agent that restarts takes it
    over without a gap. Raises NetlinkError.
    """
    attributes = link_attributes(config, nbma)
    index = await find(netlink, config.name)
    if index is None:
        await netlink.link("add", ifname=config.name, mtu=config.mtu, **attributes)
        index = await find(netlink, config.name)
        assert index is not None
    else:
        await netlink.link("set", index=index, **attributes)
        await netlink.link("set", index=index, mtu=config.mtu)
    await _address(netlink, index, config)
    await netlink.link("set", index=index, state="up")
    return index


async def find(netlink: AsyncIPRoute, name: str) -> int | None:
    """Index of an interface; None when there is none of that name."""
    found = await netlink.link_lookup(ifname=name)
    return int(found[0]) if found else None


async def _address(netlink: AsyncIPRoute, index: int, config: TunnelConfig) -> None:
    try:
        await netlink.addr(
            "add", index=index, address=str(config.address.ip), prefixlen=config.address.network.prefixlen
        )
    except NetlinkError as error:
        if error.code != 17:  # EEXIST: taken over from an earlier agent
            raise
