"""What IPv6 in the tunnels must satisfy: one function a rule."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, IPv6Network

from dmvpn_lab.errors import Problem
from dmvpn_lab.spec import plan_ipv6
from dmvpn_lab.spec.load import Document, Path_
from dmvpn_lab.spec.model import Cloud, Lab

LEAST_MTU = 1280
"""RFC 8200, section 5: on an interface with less the kernel turns IPv6 off."""
SUBNET_LENGTHS = range(64, 97)
"""Room for the numbers of the IPv4 addresses, and the same number fits a link-local address."""
PROTOCOLS = ("bgp", "none")
LONGEST_LAN = 126


def subnets_are_usable(lab: Lab, document: Document) -> Iterator[Problem]:
    """A tunnel subnet is a global one with room for its members."""
    for name, cloud in _clouds(lab):
        path, subnet = ("clouds", name, "subnet-ipv6"), cloud.subnet_ipv6
        assert subnet is not None
        if not _ordinary(subnet.network_address):
            yield document.problem(path, f"{subnet} is no unicast network", expected="such as 2001:db8::/64")
        elif subnet.prefixlen not in SUBNET_LENGTHS:
            yield document.problem(
                path, f"prefix length {subnet.prefixlen}", expected="64 to 96, such as 2001:db8::/64"
            )


def tunnel_addresses_fit(lab: Lab, document: Document) -> Iterator[Problem]:
    """An IPv6 tunnel address lies in its cloud's subnet and is used once."""
    for cloud, settings in lab.clouds.items():
        seen: dict[IPv6Address, str] = {}
        for name, address, written in _members(lab, cloud, settings):
            path = ("nodes", name, "clouds", cloud, *(("address-ipv6",) if written else ()))
            subnet = settings.subnet_ipv6
            if subnet is None:
                hint = f"give {cloud} a `subnet-ipv6`"
                yield document.problem(path, f"{cloud} has no IPv6", hint=hint)
            elif address not in subnet or address == subnet.network_address:
                yield document.problem(path, f"{address} is no host address of {subnet}")
            elif address in seen:
                yield document.problem(path, f"{address} is {seen[address]}'s already")
            seen.setdefault(address, name)


def lans_are_usable(lab: Lab, document: Document) -> Iterator[Problem]:
    """A LAN has IPv6 beside IPv4, where a tunnel of its router has it."""
    for name, node in lab.nodes.items():
        if node.lan_ipv6 is None:
            continue
        path, network = ("nodes", name, "lan-ipv6"), node.lan_ipv6.network
        carried = any(c in lab.clouds and lab.clouds[c].subnet_ipv6 is not None for c in node.clouds)
        if node.lan is None:
            yield document.problem(path, "a LAN of IPv6 alone", hint="add `lan: ADDRESS/LENGTH`")
        elif not carried:
            hint = "give one of its clouds a `subnet-ipv6`"
            yield document.problem(path, "none of its tunnels carries IPv6", hint=hint)
        elif network.prefixlen > LONGEST_LAN:
            yield document.problem(path, f"{network} has no room for a host", expected="/126 or shorter")
        elif not _ordinary(node.lan_ipv6.ip) or node.lan_ipv6.ip == network.network_address:
            yield document.problem(path, f"{node.lan_ipv6.ip} is no host address of {network}")


def subnets_do_not_overlap(lab: Lab, document: Document) -> Iterator[Problem]:
    """Every LAN and tunnel subnet is a network of its own."""
    networks: list[tuple[Path_, IPv6Network]] = [
        (("clouds", name, "subnet-ipv6"), cloud.subnet_ipv6)
        for name, cloud in lab.clouds.items()
        if cloud.subnet_ipv6 is not None
    ]
    networks += [
        (("nodes", name, "lan-ipv6"), node.lan_ipv6.network)
        for name, node in lab.nodes.items()
        if node.lan_ipv6 is not None
    ]
    for i, (path, network) in enumerate(networks):
        for other_path, other in networks[:i]:
            if network.overlaps(other):
                where = ".".join(str(part) for part in other_path)
                yield document.problem(path, f"{network} overlaps {other} of {where}")
                break


def the_mtu_is_enough(lab: Lab, document: Document) -> Iterator[Problem]:
    """IPv6 needs 1280 octets on each link."""
    for name, cloud in _clouds(lab):
        if cloud.mtu < LEAST_MTU:
            yield document.problem(
                ("clouds", name, "mtu"), f"{cloud.mtu} is too small for IPv6", expected=f"{LEAST_MTU} or more"
            )


def the_protocol_carries_it(lab: Lab, document: Document) -> Iterator[Problem]:
    """BGP has sessions of its own for IPv6; the others of this program route IPv4 alone."""
    for name, cloud in _clouds(lab):
        if cloud.routing.protocol not in PROTOCOLS:
            yield document.problem(
                ("clouds", name, "subnet-ipv6"),
                f"{cloud.routing.protocol} does not route IPv6 here",
                hint="add `routing: {protocol: bgp}`",
            )


def its_routers_are_ours(lab: Lab, document: Document) -> Iterator[Problem]:
    """An external router's startup configuration is made for IPv4."""
    for name, node in lab.nodes.items():
        for cloud in node.clouds:
            ipv6 = cloud in lab.clouds and lab.clouds[cloud].subnet_ipv6 is not None
            if node.implementation == "external" and ipv6:
                hint = f"leave `subnet-ipv6` out of {cloud}, or make a cloud without {name}"
                yield document.problem(
                    ("nodes", name, "clouds", cloud), "an external router in a cloud with IPv6", hint=hint
                )


ALL = (
    subnets_are_usable,
    tunnel_addresses_fit,
    lans_are_usable,
    subnets_do_not_overlap,
    the_mtu_is_enough,
    the_protocol_carries_it,
    its_routers_are_ours,
)


def _clouds(lab: Lab) -> Iterator[tuple[str, Cloud]]:
    return ((name, cloud) for name, cloud in lab.clouds.items() if cloud.subnet_ipv6 is not None)


def _members(lab: Lab, cloud: str, settings: Cloud) -> Iterator[tuple[str, IPv6Address, bool]]:
    """Name, address, and whether it is written; else it follows from a written IPv4 address."""
    for name, node in lab.nodes.items():
        member = node.clouds.get(cloud)
        if member is None:
            continue
        if member.address_ipv6 is not None:
            yield name, member.address_ipv6, True
        elif (
            settings.subnet_ipv6 is not None
            and member.address is not None
            and member.address in settings.subnet
        ):
            yield name, plan_ipv6.derived(settings.subnet, member.address, settings.subnet_ipv6), False


def _ordinary(address: IPv6Address) -> bool:
    """Whether an interface can have it for good: not link-local, loopback, multicast or nobody's."""
    return not (
        address.is_link_local or address.is_multicast or address.is_loopback or address.is_unspecified
    )
