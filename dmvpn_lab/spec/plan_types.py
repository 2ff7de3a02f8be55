"""The plan: a topology with every address, name and default decided.

Values only; `plan.py` makes them, everything after it reads them.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import Literal

from dmvpn_lab.address import IpAddress, IpInterface, IpNetwork

NodeKind = Literal["router", "isp", "nat", "host"]
Role = Literal["hub", "spoke"]
GreMode = Literal["multipoint", "point-to-point"]


@dataclass(frozen=True, slots=True)
class Route:
    """A static route in a node."""

    destination: IpNetwork
    via: IpAddress
    source: IPv4Address | None = None
    """Only for what leaves with this address."""


@dataclass(frozen=True, slots=True)
class InterfacePlan:
    """One end of a link."""

    name: str
    mac: str
    address: IPv4Interface | None
    """The static address, or for `dhcp` the address that the first lease gives."""
    dhcp: bool
    mtu: int
    """Octets."""
    purpose: Literal["nbma", "lan"]
    ipv6: IPv6Interface | None = None

    def addresses(self) -> tuple[IpInterface, ...]:
        """Of both families, IPv4 first."""
        return tuple(each for each in (self.address, self.ipv6) if each is not None)


@dataclass(frozen=True, slots=True)
class RoutingKey:
    """What authenticates the packets of a routing protocol."""

    mode: Literal["md5", "hmac-sha-256"]
    secret: str
    id: int


@dataclass(frozen=True, slots=True)
class RoutingPlan:
    """The routing protocol of a cloud with its options."""

    protocol: Literal["eigrp", "ospf", "bgp", "rip", "odr", "none"]
    hello_s: int
    dead_s: int
    """Without a hello for so long, a neighbour (RIP: a route) is lost."""
    network_type: Literal["point-to-multipoint", "broadcast"]
    """Of OSPF."""
    asn: int
    """The AS, of a BGP hub if the spokes have another."""
    spoke_asn: int
    split_horizon: bool
    """On the hub's tunnel; distance vector protocols."""
    next_hop_self: bool
    """The hub says that it is the next hop of what it heard from a spoke."""
    stub: tuple[str, ...]
    """What spokes announce, in the words of `eigrp stub`; empty: they are no stubs. EIGRP."""
    leaks: tuple[IPv4Network, ...]
    """What stubs announce though they learned it."""
    redistribute: tuple[Literal["connected", "static"], ...]
    """What routers bring in from outside of EIGRP."""
    summaries: tuple[IPv4Network, ...]
    """What the hub announces instead of what is in it. EIGRP."""
    bandwidth_kbps: int
    bandwidth_percent: int
    metrics: Literal["classic", "wide"]
    """Of EIGRP."""
    authentication: RoutingKey | None
    """Of EIGRP."""
    spokes: int
    """How many there are: what a deadline depends on."""


@dataclass(frozen=True, slots=True)
class IpsecPlan:
    """The protection of a cloud's tunnels."""

    transform_set: str
    """As the topology says it."""
    ike: Literal[1, 2]
    ike_proposal: str
    """In charon's words, as the next."""
    esp_proposal: str
    authentication: Literal["pre-shared-key", "spoke-keys", "certificates"]
    pre_shared_key: str | None
    bind_identity: bool
    """Whether a hub takes a registration of an address from its owner's IKE identity only."""
    dpd_s: int
    lifetime_s: int


@dataclass(frozen=True, slots=True)
class CloudPlan:
    """One DMVPN."""

    name: str
    subnet: IPv4Network
    key: int | None
    network_id: int
    phase: Literal[1, 2, 3]
    holding_time_s: int
    registration_interval_s: int | None
    """None: a third of the holding time."""
    unique: bool
    authentication: str | None
    mtu: int
    tcp_mss: int
    routing: RoutingPlan
    ipsec: IpsecPlan | None = None
    """None: GRE goes in clear."""
    subnet_ipv6: IPv6Network | None = None
    """None: the tunnels carry IPv4 alone."""

    def versions(self) -> tuple[int, ...]:
        """Of IP, that its tunnels carry."""
        return (4,) if self.subnet_ipv6 is None else (4, 6)

    def domain(self) -> tuple[int, int | None, bool]:
        """Network-id, GRE key, protected or not: equal for clouds whose spokes can send to each other."""
        return self.network_id, self.key, self.ipsec is not None


@dataclass(frozen=True, slots=True)
class StaticMap:
    """`ip nhrp map PROTOCOL NBMA`."""

    protocol: IpAddress
    nbma: IPv4Address


@dataclass(frozen=True, slots=True)
class OverlayPlan:
    """A further protocol subnet of a tunnel: IPv6, or its link-local addresses."""

    address: IPv6Interface
    nhs: tuple[IpAddress, ...]
    static_maps: tuple[StaticMap, ...]


@dataclass(frozen=True, slots=True)
class TunnelPlan:
    """A router's membership in a cloud: one GRE interface."""

    name: str
    cloud: str
    role: Role
    mode: GreMode
    source: str
    """Name of the NBMA interface."""
    destination: IPv4Address | None
    """The hub's NBMA address for point-to-point GRE."""
    address: IPv4Interface
    nhs: tuple[IPv4Address, ...]
    """The best first."""
    static_maps: tuple[StaticMap, ...]
    map_multicast: tuple[IPv4Address, ...]
    map_multicast_dynamic: bool
    priorities: tuple[int, ...] = ()
    """Of each next hop server, the lowest number is the best; empty: all are alike."""
    overlays: tuple[OverlayPlan, ...] = ()
    """With IPv6: the global addresses first, then the link-local ones."""

    @property
    def ipv6(self) -> IPv6Interface | None:
        """The (global) IPv6 address."""
        return self.overlays[0].address if self.overlays else None

    def addresses(self) -> tuple[IpInterface, ...]:
        """Those that routing and checks are about: of IPv4, and of IPv6 if there is one."""
        return (self.address,) if self.ipv6 is None else (self.address, self.ipv6)

    def registered(self) -> tuple[IpAddress, ...]:
        """All that a spoke registers: the link-local one, too."""
        return (self.address.ip, *(overlay.address.ip for overlay in self.overlays))


@dataclass(frozen=True, slots=True)
class ExternalPlan:
    """A router of another image."""

    image: str
    kind: str
    """containerlab's."""
    startup: str
    """`ios`, `none`, or the text with its variables."""
    startup_path: str | None
    nbma_interface: str
    """As the router itself calls it; so the next."""
    lan_interface: str
    exec: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: a router (hub or spoke), a host behind one, a NAT router, or the ISP router."""

    name: str
    kind: NodeKind
    interfaces: tuple[InterfacePlan, ...]
    tunnels: tuple[TunnelPlan, ...]
    routes: tuple[Route, ...]
    external: ExternalPlan | None = None
    """None: the node image, and on a router our agent."""

    def interface(self, name: str) -> InterfacePlan:
        """The interface of that name; KeyError when there is none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        raise KeyError(f"{self.name} has no interface {name}")

    def nbma_interface(self) -> InterfacePlan:
        """The (first) NBMA interface; KeyError on a host."""
        for interface in self.interfaces:
            if interface.purpose == "nbma":
                return interface
        raise KeyError(f"{self.name} has no NBMA interface")

    def lan_interface(self) -> InterfacePlan | None:
        """The LAN interface of a router or host, if it has one."""
        for interface in self.interfaces:
            if interface.purpose == "lan":
                return interface
        return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a link."""

    node: str
    interface: str


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A cable between two nodes."""

    a: Endpoint
    b: Endpoint


@dataclass(frozen=True, slots=True)
class AccessPlan:
    """An access line: the link from the ISP router, or from a NAT router, to one NBMA interface.

    For a dynamic line the provider leases `customer` to `customer_mac`.
    """

    router: str
    """Name of the customer: a router, or a NAT router."""
    provider: str
    """Name of the node at the other end: the ISP router or a NAT router."""
    isp_interface: str
    """Of the provider."""
    gateway: IPv4Interface
    customer: IPv4Interface
    customer_mac: str
    dynamic: bool
    interface: str = "eth1"
    """Of the customer: its first line, or a further one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole lab, decided."""

    lab: str
    source: str
    """The topology file as the user named it."""
    digest: str
    """SHA-256 (hex) of the canonical document: tells whether a running lab still is this one."""
    clouds: tuple[CloudPlan, ...]
    nodes: tuple[NodePlan, ...]
    links: tuple[LinkPlan, ...]
    access: tuple[AccessPlan, ...]
    isp: str | None
    """Name of the ISP router, if there is one."""
    left_out: tuple[str, ...] = ()
    """The nodes of the topology that are not in it: it is a part of the lab."""

    def node(self, name: str) -> NodePlan:
        """The node of that name; KeyError when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def cloud(self, name: str) -> CloudPlan:
        """The cloud of that name; KeyError when there is none."""
        for cloud in self.clouds:
            if cloud.name == name:
                return cloud
        raise KeyError(name)

    def routers(self) -> tuple[NodePlan, ...]:
        """All hubs and spokes, in the order of the file."""
        return tuple(node for node in self.nodes if node.kind == "router")

    def behind(self, router: str) -> str | None:
        """Name of the NAT router that a router is behind, if it is."""
        for access in self.access:
            if access.router == router and access.provider != self.isp:
                return access.provider
        return None

    def agents(self) -> tuple[NodePlan, ...]:
        """The routers that run our agent."""
        return tuple(node for node in self.routers() if node.external is None)

    def ours(self, cloud: str, role: Role) -> tuple[tuple[NodePlan, TunnelPlan], ...]:
        """The members of a cloud in a role that run our agent."""
        return tuple(member for member in self.members(cloud, role) if member[0].external is None)

    def members(self, cloud: str, role: Role) -> tuple[tuple[NodePlan, TunnelPlan], ...]:
        """The routers that join a cloud in a role, with their tunnel."""
        return tuple(
            (node, tunnel)
            for node in self.nodes
            for tunnel in node.tunnels
            if tunnel.cloud == cloud and tunnel.role == role
        )
