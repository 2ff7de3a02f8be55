"""The neighbour table of a tunnel: protocol address -> NBMA address (ip-neighbour(8)).

Entries are PERMANENT: those do not count to `gc_thresh3`, which is global to the host and ends at
1,024 otherwise (net/core/neighbour.c, `exempt_from_gc`), and no ARP packet overwrites them. They are
EXT_LEARNED, too: somebody's NTF_USE takes PERMANENT off in silence, but the flag's end is told
(`__neigh_update`, `neigh_update_flags`).
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, ip_address

from dmvpn_lab.address import IpAddress
from dmvpn_lab.linux.netlink import PUT, Kind, Netlink, Request, attribute, attributes

NDMSG = struct.Struct("=BxxxiHBB")
NDA_DST = 1
NDA_LLADDR = 2
NUD_STALE = 0x04
NUD_NOARP = 0x40
NUD_PERMANENT = 0x80
NUD_VALID = 0xDE
"""The states in which packets are sent to the link-layer address."""
NTF_EXT_LEARNED = 0x10
ALL_SYSTEMS = IPv4Address("224.0.0.1")
LIMITED_BROADCAST = IPv4Address("255.255.255.255")

_BETWEEN = struct.pack("=HH", 8, NDA_LLADDR)
"""What stands between the two addresses of a mapping."""
_NEWNEIGH = int(Kind.NEWNEIGH)
"""A plain number: a hub uses it a thousand times a second."""

_NDTMSG = struct.Struct("=Bxxx")
NDTA_NAME = 1
NDTA_PARMS = 6
NDTPA_IFINDEX = 1
NDTPA_APP_PROBES = 9
NDTPA_UCAST_PROBES = 10
NDTPA_MCAST_PROBES = 11


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry of a neighbour table, as the kernel tells it."""

    index: int
    """Of the link."""
    protocol: IpAddress
    nbma: IPv4Address | None
    """None: it has no link-layer address, or none of four octets."""
    state: int
    """NUD_ bits; 0 when the entry is gone."""
    flags: int = 0
    """NTF_ bits."""

    def leads_to(self, nbma: IPv4Address, *, permanent: bool) -> bool:
        """Whether packets go to that NBMA address, and, if so asked, will for good."""
        return self.nbma == nbma and bool(self.state & (NUD_PERMANENT if permanent else NUD_VALID))


def decode_neighbour(body: bytes) -> Neighbour | None:
    """The entry that a message is about; None for one that is not of IP."""
    if len(body) < NDMSG.size:
        return None
    family, index, state, flags, _type = NDMSG.unpack_from(body)
    values = attributes(body[NDMSG.size :])
    protocol, nbma = values.get(NDA_DST, b""), values.get(NDA_LLADDR, b"")
    if (family, len(protocol)) not in ((socket.AF_INET, 4), (socket.AF_INET6, 16)):
        return None
    return Neighbour(index, ip_address(protocol), IPv4Address(nbma) if len(nbma) == 4 else None, state, flags)


def put_neighbour(index: int, protocol: IpAddress, nbma: IPv4Address) -> Request:
    """The request that adds or replaces a mapping."""
    return Request(_NEWNEIGH, PUT, _mapping(index, protocol.packed, nbma.packed, NUD_PERMANENT))


def put_used_neighbour(index: int, protocol: IpAddress, nbma: IPv4Address) -> Request:
    """The request that adds or replaces a mapping of which the kernel says when it is used.

    STALE: a packet that uses it starts a timer of 5 s, then the kernel asks user space whether it
    still holds (`NeighbourWatch`), and goes on using it meanwhile. EXT_LEARNED: it takes no part
    in `gc_thresh3` and is not collected.
    """
    return Request(_NEWNEIGH, PUT, _mapping(index, protocol.packed, nbma.packed, NUD_STALE))


def _mapping(index: int, protocol: bytes, nbma: bytes, state: int) -> bytes:
    return b"".join((_before(index, len(protocol), state), protocol, _BETWEEN, nbma))


@lru_cache(maxsize=256)
def _before(index: int, length: int, state: int) -> bytes:
    """What stands before the protocol address of a mapping: the same for all of a link."""
    family = socket.AF_INET if length == 4 else socket.AF_INET6
    return NDMSG.pack(family, index, state, NTF_EXT_LEARNED, 0) + struct.pack("=HH", 4 + length, NDA_DST)


def put_broadcast(index: int, subnet: IPv4Network) -> list[Request]:
    """The requests that let broadcasts out of an mGRE link, to where its multicast goes.

    Unaided the kernel has no outer destination for them, and their sender gets EINVAL
    (net/ipv4/ip_gre.c, `ipgre_header`). The entries are not PERMANENT: they map no peer.
    """
    body = NDMSG.pack(socket.AF_INET, index, NUD_NOARP, NTF_EXT_LEARNED, 0)
    lladdr = attribute(NDA_LLADDR, ALL_SYSTEMS.packed)
    return [Request(Kind.NEWNEIGH, PUT, body + attribute(NDA_DST, each.packed) + lladdr)
            for each in broadcasts_of(subnet)]  # fmt: skip


def broadcasts_of(subnet: IPv4Network) -> list[IPv4Address]:
    """The broadcast addresses of a tunnel with that subnet."""
    return [LIMITED_BROADCAST, *([subnet.broadcast_address] if subnet.prefixlen < 31 else [])]


def delete_neighbour(index: int, protocol: IpAddress) -> Request:
    """The request that removes a mapping; ENOENT when there is none."""
    body = NDMSG.pack(_family(protocol), index, 0, 0, 0) + attribute(NDA_DST, protocol.packed)
    return Request(Kind.DELNEIGH, 0, body)


def list_neighbours(netlink: Netlink, index: int) -> dict[IpAddress, IPv4Address]:
    """The mappings of a tunnel that an agent made, protocol -> NBMA, of both families."""
    found: dict[IpAddress, IPv4Address] = {}
    for each in read_neighbours(netlink, index):
        ours = each.state & NUD_PERMANENT or (each.flags & NTF_EXT_LEARNED and not each.state & NUD_NOARP)
        if ours and each.nbma is not None:
            found[each.protocol] = each.nbma
    return found


def read_neighbours(netlink: Netlink, index: int) -> list[Neighbour]:
    """Everything in the table of a link, whoever made it."""
    dump = netlink.dump("list neighbours", Kind.GETNEIGH, NDMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
    return [each for each in map(decode_neighbour, dump) if each is not None and each.index == index]


def never_solicit(netlink: Netlink, index: int, *, ask_user_space: int = 0, ipv6: bool = False) -> None:
    """Send no ARP requests (neighbour solicitations) into the tunnel: an unresolved address fails at once.

    Or after user space was asked so many times, a second apart.
    """
    parameters = attribute(NDTPA_IFINDEX, struct.pack("=I", index))
    parameters += attribute(NDTPA_APP_PROBES, struct.pack("=I", ask_user_space))
    for kind in (NDTPA_UCAST_PROBES, NDTPA_MCAST_PROBES):
        parameters += attribute(kind, struct.pack("=I", 0))
    family, table = (socket.AF_INET6, b"ndisc_cache\0") if ipv6 else (socket.AF_INET, b"arp_cache\0")
    body = _NDTMSG.pack(family) + attribute(NDTA_NAME, table)
    body += attribute(NDTA_PARMS, parameters)
    netlink.do(
        "set the tunnel's neighbour probes", Request(Kind.SETNEIGHTBL, 0, body), ignore=(errno.EOPNOTSUPP,)
    )


def _family(protocol: IpAddress) -> int:
    return socket.AF_INET if protocol.version == 4 else socket.AF_INET6
