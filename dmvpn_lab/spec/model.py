"""The schema of a topology file. The reference in docs/topology.md is made from it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dmvpn_lab.spec import transform
from dmvpn_lab.spec.addresses import Address, Address6, Interface, Interface6, Network, Network6
from dmvpn_lab.spec.names import NAME


def _transform_set(value: str) -> str:
    transform.parse(value)
    return value


StubWord = Literal["connected", "static", "summary", "redistributed", "leak-map", "receive-only"]
Name = Annotated[str, Field(pattern=NAME)]
Seconds = Annotated[int, Field(ge=1, le=65535, strict=True)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, keys are written with hyphens."""

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        frozen=True,
        populate_by_name=False,
    )


class Routing(Section):
    """The routing protocol that runs over a cloud."""

    protocol: Literal["eigrp", "ospf", "bgp", "rip", "odr", "none"] = Field(
        "ospf",
        description="`eigrp`, `odr`: dmvpn-lab's own. `ospf`, `bgp`, `rip`: FRR's. `none`: tunnels only, no "
        "routes to the LANs.",
    )
    hello: Seconds = Field(
        5,
        description="Seconds between hellos (BGP: keepalives and connection attempts; RIP: updates; "
        "ODR: `cdp timer`).",
    )
    dead: Seconds = Field(20, description="OSPF: seconds without a hello after which a neighbour is lost.")
    hold: Seconds | None = Field(
        None,
        description="EIGRP, BGP, RIP, ODR: seconds without a word after which a neighbour (RIP: a route) is "
        "lost; hello x 3.",
    )
    network_type: Literal["point-to-multipoint", "broadcast"] = Field(
        "point-to-multipoint",
        description="OSPF (`ip ospf network`). `broadcast`: the hub is designated router, the spokes have "
        "priority 0, and the next hop is the other spoke.",
    )
    asn: Annotated[int, Field(ge=1, le=4294967295, strict=True)] | None = Field(
        None, description="Number of the autonomous system: EIGRP, 1; BGP, 65000."
    )
    spoke_asn: Annotated[int, Field(ge=1, le=4294967295, strict=True)] | None = Field(
        None, description="BGP: the spokes' AS, if it is another one (eBGP); `asn`."
    )
    split_horizon: Annotated[bool, Field(strict=True)] = Field(
        False,
        description="EIGRP, RIP: split horizon on the hub's tunnel. With it no spoke hears of another; "
        "`false` is `no ip split-horizon eigrp ASN`.",
    )
    next_hop_self: Annotated[bool, Field(strict=True)] = Field(
        True,
        description="EIGRP, BGP, RIP: the hub says that it is the next hop; `false` keeps the other spoke's "
        "address (phase 2).",
    )
    stub: tuple[StubWord, ...] = Field(
        (),
        description="EIGRP: the spokes are stubs (`eigrp stub ...`) that announce only this; the hub sends "
        "them no queries. `static` and `redistributed` are about what `redistribute` brings in, `leak-map` "
        "about `leak`.",
    )
    leak: tuple[Network, ...] = Field(
        (),
        description="EIGRP: networks that a stub announces though it learned them, with all that is in them "
        "(`leak-map`): one hub's routes to another.",
    )
    redistribute: tuple[Literal["connected", "static"], ...] = Field(
        (),
        description="EIGRP: what comes in from outside, as external routes. `connected`: the LANs are "
        "redistributed instead of being part of EIGRP. `static`: the nodes' `static-routes`.",
    )
    summary: tuple[Network, ...] = Field(
        (),
        description="EIGRP: what the hub announces to the spokes instead of the routes in it "
        "(`ip summary-address eigrp`); the hub discards what it has no better route for.",
    )
    bandwidth: Annotated[int, Field(ge=1, le=10_000_000, strict=True)] = Field(
        9,
        description="EIGRP: kbit/s of the tunnel (`bandwidth`), both ends. Routers assume 9, and EIGRP "
        "takes half of it at the most, which is slow; the deck says 1000.",
    )
    bandwidth_percent: Annotated[int, Field(ge=1, le=999_999, strict=True)] = Field(
        50, description="EIGRP: share of it that EIGRP may use (`ip bandwidth-percent eigrp`)."
    )
    metrics: Literal["classic", "wide"] = Field(
        "classic",
        description="EIGRP: `wide`: distances of 64 bits (`metric version 64bit`), which tell links above "
        "10 Gbit/s apart. Neighbours that do not read them, such as eigrpd, are told classic ones.",
    )
    authentication: Literal["md5", "hmac-sha-256"] | None = Field(
        None,
        description="EIGRP: digest in each packet (`ip authentication mode eigrp ASN md5`); needs "
        "`key-string`. Packets without it, or with another key, are dropped.",
    )
    key_string: Annotated[str, Field(pattern=r"^[!-~]{1,16}$")] | None = Field(
        None, description="EIGRP: the key that all members share, 1 to 16 characters (`key-string`)."
    )
    key_id: Annotated[int, Field(ge=0, le=2147483647, strict=True)] = Field(
        1, description="EIGRP: number of the key (`key chain`, `key ID`)."
    )


class Ipsec(Section):
    """Tunnel protection: `tunnel protection ipsec profile`, with everything that the profile has.

    ESP in transport mode around GRE, between the NBMA addresses of the NHRP cache. What no SA covers
    is dropped, in both directions.
    """

    transform_set: Annotated[str, AfterValidator(_transform_set)] = Field(
        "esp-gcm 128",
        description="As in `crypto ipsec transform-set`: `esp-gcm 128`, `esp-aes 256 esp-sha256-hmac`, "
        "`esp-3des esp-sha-hmac`.",
    )
    ike: Literal[1, 2] = Field(2, description="Version of IKE.")
    authentication: Literal["pre-shared-key", "spoke-keys", "certificates"] = Field(
        "pre-shared-key",
        description="`pre-shared-key`: one key for the whole cloud. `spoke-keys`: a key for each spoke and "
        "hub. `certificates`: of the lab's own CA. The last two are made by the program.",
    )
    pre_shared_key: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[ -~]+$")] | None = Field(
        None, description="The key of `pre-shared-key`, 1 to 128 printable characters."
    )
    bind_identity: Annotated[bool, Field(strict=True)] | None = Field(
        None,
        description="Whether a hub takes a registration of a tunnel address only from the IKE identity of "
        "the router that has it in the topology; true where the authentication tells routers apart.",
    )
    dpd: Seconds = Field(1, description="Seconds of silence after which a peer is asked whether it lives.")
    lifetime: Annotated[int, Field(ge=10, le=86400, strict=True)] = Field(
        3600, description="Seconds until an SA gets new keys (`set security-association lifetime seconds`)."
    )


class Cloud(Section):
    """One DMVPN."""

    subnet: Network = Field(description="The tunnel subnet, shared by all members.")
    subnet_ipv6: Network6 | None = Field(
        None,
        description="IPv6 in the same tunnels, beside IPv4: their subnet. Each member also gets a link-local "
        "address, and registers both. Routed by BGP (docs/ipv6.md).",
    )
    key: Annotated[int, Field(ge=0, le=4294967295, strict=True)] | None = Field(
        None,
        description="GRE key (`tunnel key`). Tunnels of a router that have one source need different ones.",
    )
    network_id: Annotated[int, Field(ge=1, le=4294967295, strict=True)] = Field(
        1,
        description="NHRP domain (`ip nhrp network-id`), local to each router: equal ids join its tunnels.",
    )
    holding_time: Seconds = Field(
        7200, description="Seconds that a registration is valid (`ip nhrp holdtime`); renewed at a third."
    )
    registration_interval: Seconds | None = Field(
        None,
        description="Seconds between registrations (`ip nhrp registration timeout`); holding-time / 3.",
    )
    unique: Annotated[bool, Field(strict=True)] = Field(
        True,
        description="Whether a registered address may not move to another NBMA address; "
        "`false` is `ip nhrp registration no-unique`.",
    )
    authentication: Annotated[str, Field(pattern=r"^[!-~]{1,8}$")] | None = Field(
        None, description="Plaintext tag of the domain (`ip nhrp authentication`), 1 to 8 characters."
    )
    mtu: Annotated[int, Field(ge=576, le=65535, strict=True)] = Field(
        1400, description="Octets (`ip mtu`). TCP's MSS is clamped to 40 less (`ip tcp adjust-mss`)."
    )
    phase: Literal[1, 2, 3] = Field(
        1,
        description="Of DMVPN. 1: spokes meet through the hub only. 2: a spoke resolves the tunnel "
        "address of another, which routing must give it as next hop, and sends there directly. "
        "3: routes lead to the hub, which tells a spoke of a shorter way; the spoke makes a shortcut.",
    )
    spoke_gre: Literal["multipoint", "point-to-point"] = Field(
        "multipoint", description="Kind of GRE on the spokes; point-to-point is DMVPN phase 1."
    )
    routing: Routing = Field(default_factory=Routing, description="The routing protocol over this cloud.")
    ipsec: Ipsec | None = Field(None, description="Tunnel protection; without it GRE goes in clear.")


class StaticMap(Section):
    """`ip nhrp map PROTOCOL NBMA`."""

    protocol: Address = Field(description="Tunnel address.")
    nbma: Address = Field(description="NBMA address.")


class Membership(Section):
    """How a node takes part in a cloud."""

    role: Literal["hub", "spoke"] = Field(
        description="A hub is a next hop server; a spoke registers with it."
    )
    address: Address | None = Field(None, description="Tunnel address; the next free one of the subnet.")
    address_ipv6: Address6 | None = Field(
        None,
        description="Tunnel address of IPv6; the number of `address` in its subnet, as it is written: "
        "10.0.0.11 has ::11.",
    )
    nbma: Interface | None = Field(
        None,
        description="A line of its own for this tunnel (`tunnel source`): its static address towards the "
        "ISP. Two tunnels of a router with one GRE key need different lines. Without it, the node's `nbma`.",
    )
    priority: Annotated[int, Field(ge=0, le=255, strict=True)] = Field(
        0,
        description="Of a hub (`ip nhrp nhs ... priority`): spokes register with all of them, and ask the "
        "one with the lowest number that answers.",
    )
    map: tuple[StaticMap, ...] = Field((), description="Further static maps; that of each hub is derived.")
    map_multicast: tuple[Address, ...] | None = Field(
        None,
        description="NBMA addresses that get multicast (`ip nhrp map multicast`); on a spoke, its hubs'.",
    )
    map_multicast_dynamic: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="Whether registered peers get multicast (`... dynamic`); true on a hub."
    )


class Dhcp(Section):
    """A NBMA address that the ISP leases."""

    dhcp: Interface = Field(description="The first address that the ISP leases.")


class Nat(Section):
    """A NAT router between the ISP and routers: to the Internet they all have its one address."""

    nbma: Interface = Field(description="Its address towards the ISP.")


class External(Section):
    """A router that is not ours: any image, run by containerlab.

    `$NAME` in `startup-config` and `exec` stands for a value of the plan: docs/external.md.
    """

    image: Annotated[str, Field(min_length=1)] = Field(description="Container image.")
    kind: Annotated[str, Field(pattern=r"^[a-z0-9_-]+$")] = Field(
        "linux", description="containerlab's kind, such as `cisco_c8000v`."
    )
    startup_config: Annotated[str, Field(min_length=1)] | None = Field(
        None,
        description="`ios`: the router's part of the lab in IOS's words. `none`. Else the text itself. "
        "For Cisco's IOS kinds `ios`, for others `none`.",
    )
    startup_path: Annotated[str, Field(pattern=r"^/[^:\s]+$")] | None = Field(
        None, description="File in the container that it is mounted as; what the kind does with it."
    )
    nbma_interface: Annotated[str, Field(pattern=r"^[A-Za-z][\w/.-]*$")] | None = Field(
        None, description="What the router itself calls the NBMA interface; by kind."
    )
    lan_interface: Annotated[str, Field(pattern=r"^[A-Za-z][\w/.-]*$")] | None = Field(
        None, description="The same of the LAN interface."
    )
    exec: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="Commands that are run in the container once its links are there."
    )


class Node(Section):
    """A router, with what is behind it."""

    nbma: Interface | Dhcp = Field(
        description="Address towards the ISP: static, or `{dhcp: ADDRESS/LENGTH}` for a lease."
    )
    behind: Name | None = Field(
        None, description="The NAT router that its line ends at; without it the line ends at the ISP."
    )
    lan: Interface | None = Field(None, description="The router's address in its LAN.")
    lan_ipv6: Interface6 | None = Field(None, description="The router's IPv6 address in its LAN.")
    static_routes: tuple[Network, ...] = Field(
        (), description="Networks behind the host in the LAN: the router's static routes lead to it."
    )
    host: Name | None = Field(None, description="Name of the host in the LAN; host-0, host-1, ... in order.")
    clouds: dict[Name, Membership] = Field(description="The clouds that it is a member of.", min_length=1)
    implementation: Literal["agent", "external"] = Field(
        "agent", description="`agent`: ours. `external`: another image, told in `external`."
    )
    external: External | None = Field(None, description="The router that is not ours.")


class Lab(Section):
    """A topology file."""

    lab: Name = Field(description="Name of the lab.")
    isp: Name = Field("isp", description="Name of the ISP router between the NBMA subnets.")
    nats: dict[Name, Nat] = Field(
        {}, description="NAT routers between the ISP and nodes that are `behind` them, by name."
    )
    clouds: dict[Name, Cloud] = Field(description="The DMVPNs, by name.", min_length=1)
    nodes: dict[Name, Node] = Field(description="The hubs and spokes, by name.", min_length=1)
