"""Decides the IPv6 addresses of tunnels: global and link-local ones, and who registers where.

A link-local address of a tunnel is made of the global one, and not of the NBMA address as the kernel
would: it stays when that changes, and a next hop that is told by a routing protocol stays true.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from dmvpn_lab.spec.model import Cloud
from dmvpn_lab.spec.plan_types import OverlayPlan, Role, StaticMap

LINK_LOCAL = IPv6Network("fe80::/64")


def derived(subnet: IPv4Network, address: IPv4Address, ipv6: IPv6Network) -> IPv6Address:
    """The IPv6 address with the number of an IPv4 address, as people read it: 10.0.0.11 has ::11."""
    number = int(address) - int(subnet.network_address)
    return ipv6.network_address + int(str(number), 16)


def addresses(
    cloud: Cloud, written: Mapping[str, IPv6Address | None], ipv4: Mapping[str, IPv4Address]
) -> dict[str, IPv6Address]:
    """Each member's address: as written, else derived. Empty without a subnet of IPv6."""
    subnet = cloud.subnet_ipv6
    if subnet is None:
        return {}
    return {name: written[name] or derived(cloud.subnet, ipv4[name], subnet) for name in ipv4}


def link_local(address: IPv6Address, subnet: IPv6Network) -> IPv6Address:
    """The link-local address with the same number."""
    return LINK_LOCAL.network_address + (int(address) - int(subnet.network_address))


def overlays(
    cloud: Cloud, name: str, members: Mapping[str, IPv6Address], hubs: Mapping[str, IPv4Address], role: Role
) -> tuple[OverlayPlan, ...]:
    """The global and the link-local subnet of a member's tunnel; `hubs` are the NBMA addresses."""
    subnet = cloud.subnet_ipv6
    if subnet is None:
        return ()
    links = {each: link_local(address, subnet) for each, address in members.items()}
    found = []
    for ours, length in ((members, subnet.prefixlen), (links, LINK_LOCAL.prefixlen)):
        maps = tuple(StaticMap(ours[hub], nbma) for hub, nbma in hubs.items()) if role == "spoke" else ()
        interface = IPv6Interface((ours[name], length))
        found.append(OverlayPlan(interface, tuple(each.protocol for each in maps), maps))
    return tuple(found)


def host_interface(lan: IPv6Interface) -> IPv6Interface:
    """The address of the host in a LAN: ::2, or ::3 where the router has that."""
    first = lan.network.network_address + 2
    return IPv6Interface((first if first != lan.ip else first + 1, lan.network.prefixlen))
