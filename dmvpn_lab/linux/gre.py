"""GRE links (RFC 2784, key of RFC 2890): multipoint and point-to-point (net/ipv4/ip_gre.c).

A multipoint link has no remote: the outer destination is the link-layer address of the neighbour,
its NBMA address. `local` is the present NBMA source address; changing it keeps the link's
addresses, routes and neighbours.

With IPv6 the link has a broadcast address: unaided the kernel has no outer destination for a group of
IPv6, and its sender gets EINVAL (include/net/if_inet6.h, `ipv6_ipgre_mc_map`). All groups then leave
to ALL_SYSTEMS, that is by the multicast tap. Setting it makes the kernel forget the link's neighbours,
and so it is left alone where it is right already.

The kernel takes a change as a whole: what a message leaves out is reset, so every message has all.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.address import IpInterface
from dmvpn_lab.linux.address import delete_address, list_addresses, list_ipv6, put_address
from dmvpn_lab.linux.link import (
    IFF_MULTICAST,
    IFF_NOARP,
    IFF_UP,
    Link,
    delete_link,
    find_link,
    put_link,
    set_link,
)
from dmvpn_lab.linux.neighbour import ALL_SYSTEMS, never_solicit
from dmvpn_lab.linux.netlink import Netlink, NetlinkError, attribute, attributes

IFLA_GRE_IFLAGS = 2
IFLA_GRE_OFLAGS = 3
IFLA_GRE_IKEY = 4
IFLA_GRE_OKEY = 5
IFLA_GRE_LOCAL = 6
IFLA_GRE_REMOTE = 7
IFLA_GRE_TTL = 8
IFLA_GRE_PMTUDISC = 10
GRE_KEY = 0x2000
TTL = 64
"""Of the outer header. Not 0: with "inherit", OSPF's TTL 1 would end at the first NBMA router."""
ANY = IPv4Address(0)


@dataclass(frozen=True, slots=True)
class Gre:
    """What a GRE link is to be."""

    name: str
    key: int | None
    remote: IPv4Address | None
    """None: multipoint."""
    addresses: tuple[IpInterface, ...]
    mtu: int
    """Octets, of the inner packet."""
    ask_user_space: int = 0
    """How many times the kernel asks user space for a neighbour that it misses."""

    @property
    def ipv6(self) -> bool:
        """It carries IPv6."""
        return any(each.version == 6 for each in self.addresses)


def encode_gre(gre: Gre, local: IPv4Address | None) -> bytes:
    """The attributes of kind `gre`."""
    flags = struct.pack(">H", 0 if gre.key is None else GRE_KEY)
    key = struct.pack(">I", gre.key or 0)
    data = attribute(IFLA_GRE_IFLAGS, flags) + attribute(IFLA_GRE_OFLAGS, flags)
    data += attribute(IFLA_GRE_IKEY, key) + attribute(IFLA_GRE_OKEY, key)
    data += attribute(IFLA_GRE_LOCAL, (local or ANY).packed)
    data += attribute(IFLA_GRE_REMOTE, (gre.remote or ANY).packed)
    return data + attribute(IFLA_GRE_TTL, bytes([TTL])) + attribute(IFLA_GRE_PMTUDISC, b"\1")


def create_gre(netlink: Netlink, gre: Gre) -> Link:
    """Make the link, or take over the one that an earlier agent left; it is not set up yet.

    A link that was taken over keeps its neighbours and its `local`. Raises NetlinkError.
    """
    link = find_link(netlink, gre.name)
    if link is not None and not _alike(link, gre):
        delete_link(netlink, link.index, gre.name)
        link = None
    if link is None:
        put_link(netlink, gre.name, "gre", encode_gre(gre, None), create=True)
        link = find_link(netlink, gre.name)
    if link is None:
        raise NetlinkError(f"create gre link {gre.name}", 19)
    # With ARP on, a packet to a protocol address without binding fails at once. Without, the
    # kernel would take our own NBMA address for the peer's and loop the packet until its TTL ends.
    multipoint = gre.remote is None
    set_link(netlink, link.index, gre.name, mtu=gre.mtu, flags=IFF_MULTICAST,
             clear=IFF_NOARP if multipoint else 0, no_link_local=gre.ipv6)  # fmt: skip
    if multipoint:
        never_solicit(netlink, link.index, ask_user_space=gre.ask_user_space)
    if multipoint and gre.ipv6:
        never_solicit(netlink, link.index, ask_user_space=gre.ask_user_space, ipv6=True)
    _addresses(netlink, link, gre)
    return link


def retarget_gre(netlink: Netlink, gre: Gre, index: int, local: IPv4Address) -> None:
    """Give the link a (new) NBMA source address and set it up. Raises NetlinkError."""
    groups = gre.ipv6 and gre.remote is None
    if groups and _settled(find_link(netlink, gre.name), gre, local):
        return
    put_link(netlink, gre.name, "gre", encode_gre(gre, local), create=False)
    set_link(netlink, index, gre.name, flags=IFF_UP, broadcast=ALL_SYSTEMS.packed if groups else None)


def _settled(link: Link | None, gre: Gre, local: IPv4Address) -> bool:
    """Whether a link is what it is to be, with its broadcast address, and up."""
    if link is None or not link.up or link.broadcast != ALL_SYSTEMS.packed:
        return False
    wanted = attributes(encode_gre(gre, local))
    return all(link.data.get(kind, bytes(len(value))) == value for kind, value in wanted.items())


def local_of(link: Link) -> IPv4Address | None:
    """The NBMA source address that a GRE link has."""
    value = link.data.get(IFLA_GRE_LOCAL, bytes(4))
    return None if value == bytes(4) else IPv4Address(value)


def _alike(link: Link, gre: Gre) -> bool:
    """Whether a change can make `gre` of the link: a kind, and multipoint or not, are for ever."""
    remote = link.data.get(IFLA_GRE_REMOTE, bytes(4))
    return link.kind == "gre" and (remote == bytes(4)) == (gre.remote is None)


def _addresses(netlink: Netlink, link: Link, gre: Gre) -> None:
    present: list[IpInterface] = [a.interface for a in list_addresses(netlink, link.index)
                                  if a.index == link.index]  # fmt: skip
    if gre.ipv6:
        present += list_ipv6(netlink, link.index)
    for address in present:
        if address not in gre.addresses:
            delete_address(netlink, link.index, address)
    for address in gre.addresses:
        put_address(netlink, link.index, address)
