"""What EIGRP is configured with; the words are those of `router eigrp` and `ip ... eigrp`."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from dmvpn_lab.eigrp import wide
from dmvpn_lab.eigrp.authentication import Key
from dmvpn_lab.eigrp.metric import of_link
from dmvpn_lab.eigrp.wide import Vector


@dataclass(frozen=True, slots=True)
class InterfaceConfig:
    """One interface on which EIGRP runs, or (passive) whose network it announces."""

    name: str
    address: IPv4Interface
    mtu: int
    """Octets of an IP packet."""
    bandwidth_kbps: int
    delay_us: int
    bandwidth_percent: int = 50
    """Share of the bandwidth that EIGRP's own packets may take."""
    hello_s: float = 5.0
    hold_s: int = 15
    """What neighbours are told: without a word for so long, we are gone."""
    passive: bool = False
    """No hello, no neighbour."""
    split_horizon: bool = True
    next_hop_self: bool = True
    summaries: tuple[IPv4Network, ...] = ()
    """Announced here instead of the routes that they contain."""
    copies: bool = False
    """A multicast packet is sent once to each neighbour (multipoint GRE)."""
    external: bool = False
    """Its network is redistributed (`redistribute connected`), not announced as part of EIGRP."""
    statics: tuple[IPv4Network, ...] = ()
    """Static routes out of it that are redistributed, for as long as it works."""
    wide: bool = False
    """Distances are wide ones, and neighbours that can are told wide metrics. Of all interfaces alike."""
    key: Key | None = None
    """Packets without it are dropped; None: packets with one are."""

    @property
    def metric(self) -> Vector:
        """Of the link, and of the network connected to it."""
        make = wide.of_link if self.wide else of_link
        return make(self.bandwidth_kbps, self.delay_us, self.mtu)

    @property
    def pacing_s(self) -> float:
        """Seconds between two reliable packets: a full one at the allowed share of the bandwidth."""
        return self.mtu * 8 / (self.bandwidth_kbps * 1000 * self.bandwidth_percent / 100)


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """`router eigrp ASN`."""

    asn: int
    router_id: IPv4Address
    interfaces: tuple[InterfaceConfig, ...]
    stub: int | None = None
    """Bits of `Stub`; None: no stub."""
    leaks: tuple[IPv4Network, ...] = ()
    """What a stub announces though it learned it (`leak-map`): these networks and what is in them."""
    maximum_paths: int = 4
    """Equal-cost routes that are installed."""
