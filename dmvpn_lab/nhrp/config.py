"""What a tunnel's NHRP is configured with; the words are those of `ip nhrp ...` on a router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Literal, TypeGuard

from dmvpn_lab.address import IpAddress, IpInterface
from dmvpn_lab.nhrp.constants import PREFIX_WHOLE, PROTOCOL_IPV4, PROTOCOL_IPV6

CACHE_LIMIT = 16384
"""Dynamic bindings in a domain at the most; one more is refused with code 5."""
PEER_LIMIT = CACHE_LIMIT // 4
"""Those of one NBMA address on a tunnel: nobody alone fills the cache. One more: code 5, too."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A further protocol subnet of a tunnel: IPv6 beside IPv4, or its link-local addresses.

    Each has an address of ours, servers, and registrations of its own.
    """

    address: IpInterface
    nhs: tuple[IpAddress, ...] = ()
    static_maps: tuple[tuple[IpAddress, IPv4Address], ...] = ()


@dataclass(frozen=True, slots=True)
class TunnelConfig:
    """One GRE interface of a router."""

    name: str
    mode: Literal["multipoint", "point-to-point"]
    source: str
    """Interface whose address is the NBMA address."""
    address: IpInterface
    network_id: int
    """Equal ids join tunnels of a router into one domain. Never on the wire."""
    mtu: int
    """Octets."""
    key: int | None = None
    destination: IPv4Address | None = None
    """The far NBMA address of point-to-point GRE."""
    authentication: str | None = None
    holding_time_s: int = 7200
    registration_interval_s: int | None = None
    """None: a third of the holding time."""
    unique: bool = True
    nhs: tuple[IpAddress, ...] = ()
    priorities: tuple[int, ...] = ()
    """Of each next hop server, the lowest number is the best; empty: all have 0."""
    static_maps: tuple[tuple[IpAddress, IPv4Address], ...] = ()
    """(protocol, NBMA) pairs."""
    map_multicast: tuple[IPv4Address, ...] = ()
    map_multicast_dynamic: bool = False
    resolve: bool = False
    """Ask the next hop servers for neighbours that the kernel misses (phases 2 and 3)."""
    redirect: bool = False
    """Tell spokes of shorter ways and pass on their questions (phase 3; `ip nhrp redirect`)."""
    shortcut: bool = False
    """Follow indications, and answer for what is behind us (phase 3; `ip nhrp shortcut`)."""
    protected: bool = False
    """`tunnel protection`: a registration waits until there is an IPsec SA with the server."""
    owners: Mapping[IpAddress, str] | None = None
    """Tunnel address -> the IKE identity that alone may register it. None: nobody asks."""
    overlays: tuple[Overlay, ...] = ()
    """What the tunnel carries besides; the priorities of servers are the same in each."""

    def parts(self) -> tuple[TunnelConfig, ...]:
        """One configuration for each protocol subnet, this one first."""
        further = (replace(self, address=o.address, nhs=o.nhs, static_maps=o.static_maps, overlays=())
                   for o in self.overlays)  # fmt: skip
        return (self, *further)

    @property
    def protocol_type(self) -> int:
        """What ar$pro.type says of its addresses."""
        return PROTOCOL_IPV4 if self.address.version == 4 else PROTOCOL_IPV6

    @property
    def bits(self) -> int:
        """Length of a protocol address."""
        return self.address.max_prefixlen

    def speaks(self, address: object) -> TypeGuard[IpAddress]:
        """Whether that is a protocol address of its family."""
        return isinstance(address, IpAddress) and address.version == self.address.version

    def whole(self, prefix_length: int) -> bool:
        """Whether a prefix length means one address: the RFC's 0 and 255, and what IOS sends."""
        return prefix_length in (0, self.bits, PREFIX_WHOLE)

    def meets(self, other: TunnelConfig) -> bool:
        """Whether a spoke of this tunnel can send directly to one of the other, or of this one.

        They are of one domain, and what one sends the other's tunnel takes: the same GRE key, and both
        protected or both bare.
        """
        ours = (self.network_id, self.key, self.protected)
        return ours == (other.network_id, other.key, other.protected)

    @property
    def renewal_s(self) -> float:
        """Seconds from a registration to the next (section 5.2.3 asks for a third)."""
        return self.registration_interval_s or self.holding_time_s / 3

    def is_server(self, nbma: IPv4Address) -> bool:
        """Whether a next hop server of ours is at that NBMA address."""
        return any(self.nbma_of(nhs) == nbma for nhs in self.nhs)

    def priority_of(self, nhs: IpAddress) -> int:
        """The rank of a next hop server."""
        return self.priorities[self.nhs.index(nhs)] if self.priorities else 0

    def nbma_of(self, protocol: IpAddress) -> IPv4Address | None:
        """Where the static maps (or the point-to-point destination) say that address is."""
        for mapped, nbma in self.static_maps:
            if mapped == protocol:
                return nbma
        return self.destination
