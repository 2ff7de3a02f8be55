"""Addresses of a link by route netlink (ip-address(8); uapi linux/if_addr.h)."""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface

from dmvpn_lab.address import IpInterface
from dmvpn_lab.linux.netlink import Flag, Kind, Message, Netlink, Request, attribute, attributes

_IFADDRMSG = struct.Struct("=BBBBI")
IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_BROADCAST = 4
IFA_F_SECONDARY = 0x01
IFA_F_NODAD = 0x02
"""Of IPv6: use it at once. Nobody else can have it, and in a tunnel nobody could tell."""


@dataclass(frozen=True, slots=True)
class Address:
    """An IPv4 address on a link."""

    index: int
    """Of the link."""
    interface: IPv4Interface
    secondary: bool
    """Another address of the same subnet was there before it."""

    @property
    def ip(self) -> IPv4Address:
        """Without the prefix length."""
        return self.interface.ip


def decode_address(body: bytes) -> Address | None:
    """An Address from the body of RTM_NEWADDR or RTM_DELADDR; None when it is not IPv4."""
    family, prefix_length, flags, _scope, index = _IFADDRMSG.unpack_from(body)
    found = attributes(body[_IFADDRMSG.size :])
    # On a point-to-point link IFA_ADDRESS is the peer; IFA_LOCAL is always ours.
    local = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
    if family != socket.AF_INET or local is None:
        return None
    return Address(index, IPv4Interface((local, prefix_length)), bool(flags & IFA_F_SECONDARY))


def address_event(message: Message) -> Address | None:
    """The address that an event is about; None for other events."""
    if message.kind in (Kind.NEWADDR, Kind.DELADDR) and len(message.body) >= _IFADDRMSG.size:
        return decode_address(message.body)
    return None


def list_addresses(netlink: Netlink, index: int = 0) -> list[Address]:
    """The IPv4 addresses of one link, or of all links."""
    body = _IFADDRMSG.pack(socket.AF_INET, 0, 0, 0, index)
    found = [decode_address(each) for each in netlink.dump("list addresses", Kind.GETADDR, body)]
    return [each for each in found if each is not None]


def list_ipv6(netlink: Netlink, index: int) -> list[IPv6Interface]:
    """The IPv6 addresses of one link."""
    found = []
    for body in netlink.dump(
        "list addresses", Kind.GETADDR, _IFADDRMSG.pack(socket.AF_INET6, 0, 0, 0, index)
    ):
        family, prefix_length, _flags, _scope, of = _IFADDRMSG.unpack_from(body)
        address = attributes(body[_IFADDRMSG.size :]).get(IFA_ADDRESS)
        if family == socket.AF_INET6 and of == index and address is not None:
            found.append(IPv6Interface((address, prefix_length)))
    return found


def put_address(netlink: Netlink, index: int, interface: IpInterface) -> None:
    """Give a link an address; it may have it already. Raises NetlinkError."""
    family, flags = (socket.AF_INET, 0) if interface.version == 4 else (socket.AF_INET6, IFA_F_NODAD)
    body = _IFADDRMSG.pack(family, interface.network.prefixlen, flags, 0, index)
    body += attribute(IFA_LOCAL, interface.ip.packed) + attribute(IFA_ADDRESS, interface.ip.packed)
    if interface.version == 4 and interface.network.prefixlen < 31:
        body += attribute(IFA_BROADCAST, interface.network.broadcast_address.packed)
    netlink.do(f"add address {interface}", Request(Kind.NEWADDR, Flag.CREATE | Flag.REPLACE, body))


def delete_address(netlink: Netlink, index: int, interface: IpInterface) -> None:
    """Take an address from a link; it may be gone already. Raises NetlinkError."""
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    body = _IFADDRMSG.pack(family, interface.network.prefixlen, 0, 0, index)
    body += attribute(IFA_LOCAL, interface.ip.packed)
    netlink.do(f"delete address {interface}", Request(Kind.DELADDR, 0, body), ignore=(errno.EADDRNOTAVAIL,))
