"""Links by route netlink: find, create, change, remove (ip-link(8); uapi linux/if_link.h)."""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

from dmvpn_lab.linux.netlink import (
    Flag,
    Kind,
    Message,
    Netlink,
    Request,
    attribute,
    attributes,
    text,
)

IFINFOMSG = struct.Struct("=BxHiII")
_U32 = struct.Struct("=I")

IFF_UP = 0x1
IFF_NOARP = 0x80
IFF_MULTICAST = 0x1000

IFLA_ADDRESS = 1
IFLA_BROADCAST = 2
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINKINFO = 18
IFLA_AF_SPEC = 26
IFLA_INET6_ADDR_GEN_MODE = 8
ADDR_GEN_MODE_NONE = 1
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as the kernel describes it."""

    index: int
    name: str
    flags: int
    mtu: int
    """Octets."""
    kind: str | None
    """`gre`, `veth` ...; None for one without a kind (loopback, hardware)."""
    data: dict[int, bytes]
    """The attributes of its kind."""
    broadcast: bytes = b""
    """Its link-layer broadcast address."""

    @property
    def up(self) -> bool:
        """Administratively up."""
        return bool(self.flags & IFF_UP)


def decode_link(body: bytes) -> Link:
    """A Link from the body of RTM_NEWLINK or RTM_DELLINK."""
    _family, _type, index, flags, _change = IFINFOMSG.unpack_from(body)
    found = attributes(body[IFINFOMSG.size :])
    info = attributes(found.get(IFLA_LINKINFO, b""))
    kind = info.get(IFLA_INFO_KIND)
    return Link(
        index=index,
        name=text(found.get(IFLA_IFNAME, b"")),
        flags=flags,
        mtu=_U32.unpack(found.get(IFLA_MTU, bytes(4)))[0],
        kind=None if kind is None else text(kind),
        data=attributes(info.get(IFLA_INFO_DATA, b"")),
        broadcast=found.get(IFLA_BROADCAST, b""),
    )


def link_event(message: Message) -> Link | None:
    """The link that an event is about; None for other events."""
    if message.kind in (Kind.NEWLINK, Kind.DELLINK) and len(message.body) >= IFINFOMSG.size:
        return decode_link(message.body)
    return None


def find_link(netlink: Netlink, name: str) -> Link | None:
    """The link of that name, if there is one."""
    body = _ifinfomsg() + attribute(IFLA_IFNAME, name.encode() + b"\0")
    answer = netlink.get(f"look up link {name}", Request(Kind.GETLINK, 0, body))
    return None if answer is None else decode_link(answer)


def list_links(netlink: Netlink) -> list[Link]:
    """All links of the namespace."""
    return [decode_link(body) for body in netlink.dump("list links", Kind.GETLINK, _ifinfomsg())]


def set_link(netlink: Netlink, index: int, name: str, *, mac: str | None = None, mtu: int | None = None,
             flags: int = 0, clear: int = 0, broadcast: bytes | None = None,
             no_link_local: bool = False) -> None:  # fmt: skip
    """Change a link. `flags` are set, those of `clear` are taken away. Raises NetlinkError.

    A new `broadcast` address makes the kernel forget the link's neighbours, permanent ones too.
    `no_link_local`: it gets no link-local address by itself.
    """
    extra = b""
    if mac is not None:
        extra += attribute(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))
    if broadcast is not None:
        extra += attribute(IFLA_BROADCAST, broadcast)
    if no_link_local:
        mode = attribute(IFLA_INET6_ADDR_GEN_MODE, bytes([ADDR_GEN_MODE_NONE]))
        extra += attribute(IFLA_AF_SPEC, attribute(socket.AF_INET6, mode))
    if mtu is not None:
        extra += attribute(IFLA_MTU, _U32.pack(mtu))
    body = _ifinfomsg(index, flags, flags | clear) + extra
    netlink.do(f"configure link {name}", Request(Kind.NEWLINK, 0, body))


def put_link(netlink: Netlink, name: str, kind: str, data: bytes, *, create: bool) -> None:
    """Create a link of a kind, or change the settings of its kind. Raises NetlinkError."""
    info = attribute(IFLA_INFO_KIND, kind.encode()) + attribute(IFLA_INFO_DATA, data)
    body = _ifinfomsg() + attribute(IFLA_IFNAME, name.encode() + b"\0") + attribute(IFLA_LINKINFO, info)
    flags = Flag.CREATE | Flag.EXCL if create else 0
    netlink.do(f"{'create' if create else 'change'} {kind} link {name}", Request(Kind.NEWLINK, flags, body))


def delete_link(netlink: Netlink, index: int, name: str) -> None:
    """Remove a link; it may be gone already. Raises NetlinkError."""
    netlink.do(f"delete link {name}", Request(Kind.DELLINK, 0, _ifinfomsg(index)), ignore=(errno.ENODEV,))


def _ifinfomsg(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, flags, change)
