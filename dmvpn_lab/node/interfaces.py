"""Sets up a node's interfaces and routes, waiting by event for those that are not there yet."""

from __future__ import annotations

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.rtnl import RTMGRP_LINK

from dmvpn_lab.node.config import Interface, NodeConfig


async def set_up(config: NodeConfig) -> None:
    """Configure every interface, then the routes. Returns when all are there and up."""
    async with AsyncIPRoute() as netlink:
        await netlink.link("set", index=1, state="up")  # lo
        indexes = await _wait_for({interface.name for interface in config.interfaces})
        for interface in config.interfaces:
            await _configure(netlink, interface, indexes[interface.name])
        for destination, via in config.routes:
            await netlink.route("replace", dst=destination, gateway=via)


async def _wait_for(names: set[str]) -> dict[str, int]:
    """Indexes of interfaces, once all are there."""
    found: dict[str, int] = {}
    async with AsyncIPRoute() as watcher, AsyncIPRoute() as reader:
        await watcher.bind(RTMGRP_LINK)
        async for link in await reader.get_links():
            found[link.get_attr("IFLA_IFNAME")] = link["index"]
        while not names <= found.keys():  # get() ends after each batch
            async for message in watcher.get():
                if message.get("event") == "RTM_NEWLINK":
                    found[message.get_attr("IFLA_IFNAME")] = message["index"]
    return found


async def _configure(netlink: AsyncIPRoute, interface: Interface, index: int) -> None:
    if interface.mac is not None:
        await netlink.link("set", index=index, address=interface.mac)
    await netlink.link("set", index=index, mtu=interface.mtu)
    for address in interface.addresses:
        ip, _, length = address.partition("/")
        await netlink.addr("replace", index=index, address=ip, prefixlen=int(length))
    await netlink.link("set", index=index, state="up")
