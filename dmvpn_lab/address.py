"""Addresses of either IP family: what a tunnel carries can be IPv4 or IPv6. NBMA addresses are IPv4."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)

IpAddress = IPv4Address | IPv6Address
IpInterface = IPv4Interface | IPv6Interface
IpNetwork = IPv4Network | IPv6Network


class PeerAddress(IPv4Address):
    """The NBMA address of a peer that is heard often: equal to a plain one, but its hash is known."""

    __slots__ = ("_hash", "packed")

    def __init__(self, octets: bytes) -> None:
        super().__init__(int.from_bytes(octets, "big"))
        self._hash = IPv4Address.__hash__(self)
        self.packed = octets  # type: ignore[misc]

    def __hash__(self) -> int:
        return self._hash


def network_of(address: IpAddress, length: int) -> IpNetwork:
    """The network with that prefix length around an address."""
    if isinstance(address, IPv4Address):
        return IPv4Network((address, length), strict=False)
    return IPv6Network((address, length), strict=False)


def addresses_of(packet: bytes) -> tuple[IpAddress, IpAddress] | None:
    """Source and destination of an IP packet, of which the header is there at least; None: it is none."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        return IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    if version == 6 and len(packet) >= 40:
        return IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    return None
