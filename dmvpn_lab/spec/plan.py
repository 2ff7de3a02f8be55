"""Decides everything that a topology leaves open. After it, nothing has a default."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from dmvpn_lab.spec import external, plan_ipv6, transform, validate
from dmvpn_lab.spec.lines import LAN, NBMA, further_lines, nbma_of, outer_of, source_of
from dmvpn_lab.spec.model import Cloud, Dhcp, Lab, Membership, Node, Routing
from dmvpn_lab.spec.plan_types import (
    AccessPlan,
    CloudPlan,
    Endpoint,
    ExternalPlan,
    InterfacePlan,
    IpsecPlan,
    LinkPlan,
    NodePlan,
    Plan,
    Role,
    Route,
    RoutingKey,
    RoutingPlan,
    StaticMap,
    TunnelPlan,
)
from dmvpn_lab.spec.routing_rules import asn_of, hold_of
from dmvpn_lab.spec.rules import NBMA_MTU, host_name
from dmvpn_lab.spec.rules_ipsec import binds

TCP_HEADERS = 40
"""Octets of IPv4 and TCP header without options."""
DEFAULT, DEFAULT_6 = IPv4Network("0.0.0.0/0"), IPv6Network("::/0")


def read(path: Path) -> Plan:
    """The plan of a topology file. Raises TopologyError."""
    _, lab = validate.read(path)
    return plan(lab, str(path))


def plan(lab: Lab, source: str) -> Plan:
    """The plan of a valid model."""
    addresses = {name: _tunnel_addresses(lab, name) for name in lab.clouds}
    access = tuple(_lines(lab))
    routers = [_router(lab, name, addresses) for name in lab.nodes]
    hosts = [_host(lab, name) for name, node in lab.nodes.items() if node.lan is not None]
    links = [LinkPlan(Endpoint(a.router, a.interface), Endpoint(a.provider, a.isp_interface)) for a in access]
    links += [LinkPlan(Endpoint(name, LAN), Endpoint(host_name(lab, name), "eth1"))
              for name, node in lab.nodes.items() if node.lan is not None]  # fmt: skip
    return Plan(
        lab=lab.lab,
        source=source,
        digest=hashlib.sha256(lab.model_dump_json().encode()).hexdigest(),
        clouds=tuple(_cloud(lab, name, cloud) for name, cloud in lab.clouds.items()),
        nodes=(*routers, _isp(lab, access), *(_nat(lab, name, access) for name in lab.nats), *hosts),
        links=tuple(links),
        access=access,
        isp=lab.isp,
    )


def gateway_of(customer: IPv4Interface) -> IPv4Interface:
    """The ISP's address on a line: the last one of its subnet that is not the customer's."""
    network = customer.network
    last = network.broadcast_address - 1
    return IPv4Interface((last if last != customer.ip else last - 1, network.prefixlen))


def _mac(lab: str, node: str, interface: str) -> str:
    """A locally administered address that is the same each time."""
    digest = hashlib.sha256(f"{lab}/{node}/{interface}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))


def _cloud(lab: Lab, name: str, cloud: Cloud) -> CloudPlan:
    return CloudPlan(
        name=name,
        subnet=cloud.subnet,
        key=cloud.key,
        network_id=cloud.network_id,
        phase=cloud.phase,
        holding_time_s=cloud.holding_time,
        registration_interval_s=cloud.registration_interval,
        unique=cloud.unique,
        authentication=cloud.authentication,
        mtu=cloud.mtu,
        tcp_mss=cloud.mtu - TCP_HEADERS,
        routing=_routing(cloud.routing, _count_spokes(lab, name)),
        ipsec=_ipsec(cloud),
        subnet_ipv6=cloud.subnet_ipv6,
    )


def _ipsec(cloud: Cloud) -> IpsecPlan | None:
    settings = cloud.ipsec
    if settings is None:
        return None
    rule = transform.parse(settings.transform_set)
    return IpsecPlan(
        transform_set=settings.transform_set,
        ike=settings.ike,
        ike_proposal=rule.ike if settings.ike == 2 else rule.ike_1,
        esp_proposal=rule.esp,
        authentication=settings.authentication,
        pre_shared_key=settings.pre_shared_key,
        bind_identity=binds(settings),
        dpd_s=settings.dpd,
        lifetime_s=settings.lifetime,
    )


def _routing(routing: Routing, spokes: int) -> RoutingPlan:
    ospf = routing.protocol == "ospf"
    asn = asn_of(routing)
    return RoutingPlan(
        protocol=routing.protocol,
        hello_s=routing.hello,
        dead_s=routing.dead if ospf else hold_of(routing),
        network_type=routing.network_type,
        asn=asn,
        spoke_asn=routing.spoke_asn or asn,
        split_horizon=routing.split_horizon,
        next_hop_self=routing.next_hop_self,
        stub=routing.stub,
        leaks=routing.leak,
        redistribute=routing.redistribute,
        summaries=routing.summary,
        bandwidth_kbps=routing.bandwidth,
        bandwidth_percent=routing.bandwidth_percent,
        metrics=routing.metrics,
        authentication=_key(routing),
        spokes=spokes,
    )


def _key(routing: Routing) -> RoutingKey | None:
    if routing.authentication is None or routing.key_string is None:
        return None
    return RoutingKey(routing.authentication, routing.key_string, routing.key_id)


def _count_spokes(lab: Lab, cloud: str) -> int:
    members = (node.clouds[cloud] for node in lab.nodes.values() if cloud in node.clouds)
    return sum(member.role == "spoke" for member in members)


def _tunnel_addresses(lab: Lab, cloud: str) -> dict[str, IPv4Address]:
    """Each member's tunnel address: as written, else the next free one."""
    members = {name: node.clouds[cloud].address for name, node in lab.nodes.items() if cloud in node.clouds}
    taken = set(members.values())
    free = (address for address in lab.clouds[cloud].subnet.hosts() if address not in taken)
    return {name: address or next(free) for name, address in members.items()}


def _lines(lab: Lab) -> Iterator[AccessPlan]:
    """Every access line: first those of the ISP, then those of the NAT routers."""
    number = Counter[str]()
    for name, node in lab.nodes.items():
        if node.behind is None:
            number[lab.isp] += 1
            yield _access(lab, name, nbma_of(node), lab.isp, number[lab.isp], isinstance(node.nbma, Dhcp))
        for interface, address in further_lines(node).items():
            number[lab.isp] += 1
            yield _access(lab, name, address, lab.isp, number[lab.isp], False, interface)
    for name, nat in lab.nats.items():
        number[lab.isp] += 1
        yield _access(lab, name, nat.nbma, lab.isp, number[lab.isp], False)
    for name, node in lab.nodes.items():
        if node.behind is not None:
            number[node.behind] += 1  # eth1 of a NAT router is the ISP's line
            position = number[node.behind] + 1
            yield _access(lab, name, nbma_of(node), node.behind, position, isinstance(node.nbma, Dhcp))


def _access(
    lab: Lab,
    name: str,
    customer: IPv4Interface,
    provider: str,
    position: int,
    dynamic: bool,
    interface: str = NBMA,
) -> AccessPlan:
    return AccessPlan(
        router=name,
        provider=provider,
        isp_interface=f"eth{position}",
        gateway=gateway_of(customer),
        customer=customer,
        customer_mac=_mac(lab.lab, name, interface),
        dynamic=dynamic,
        interface=interface,
    )


def _router(lab: Lab, name: str, addresses: dict[str, dict[str, IPv4Address]]) -> NodePlan:
    node = lab.nodes[name]
    dhcp = isinstance(node.nbma, Dhcp)
    mac = _mac(lab.lab, name, NBMA)
    interfaces = [InterfacePlan(NBMA, mac, nbma_of(node), dhcp, NBMA_MTU, "nbma")]
    if node.lan is not None:
        mac = _mac(lab.lab, name, LAN)
        interfaces.append(InterfacePlan(LAN, mac, node.lan, False, NBMA_MTU, "lan", node.lan_ipv6))
    for line, address in further_lines(node).items():
        interfaces.append(InterfacePlan(line, _mac(lab.lab, name, line), address, False, NBMA_MTU, "nbma"))
    tunnels = tuple(
        _tunnel(lab, name, cloud, membership, i, addresses[cloud])
        for i, (cloud, membership) in enumerate(node.clouds.items())
    )
    routes = [] if dhcp else [Route(DEFAULT, gateway_of(nbma_of(node)).ip)]
    routes += [Route(DEFAULT, gateway_of(address).ip, address.ip) for address in further_lines(node).values()]
    if node.lan is not None:
        routes += [Route(behind, host_address(node.lan)) for behind in node.static_routes]
    return NodePlan(name, "router", tuple(interfaces), tunnels, tuple(routes), _external(node))


def _external(node: Node) -> ExternalPlan | None:
    told = node.external
    if told is None:
        return None
    nbma, lan = external.interfaces_of(told)
    return ExternalPlan(
        image=told.image,
        kind=told.kind,
        startup=external.startup_of(told),
        startup_path=told.startup_path,
        nbma_interface=nbma or NBMA,
        lan_interface=lan or LAN,
        exec=told.exec,
    )


def _tunnel(
    lab: Lab, name: str, cloud: str, member: Membership, number: int, addresses: dict[str, IPv4Address]
) -> TunnelPlan:
    settings = lab.clouds[cloud]
    hubs = {n: outer_of(node, cloud) for n, node in _hubs(lab, cloud).items() if n != name}
    spoke = member.role == "spoke"
    point_to_point = spoke and settings.spoke_gre == "point-to-point"
    derived = tuple(StaticMap(addresses[hub], nbma) for hub, nbma in hubs.items()) if spoke else ()
    default_multicast = tuple(hubs.values()) if spoke else ()
    dynamic = member.map_multicast_dynamic
    return TunnelPlan(
        name=f"tunnel{number}",
        cloud=cloud,
        role=member.role,
        mode="point-to-point" if point_to_point else "multipoint",
        source=source_of(lab.nodes[name], cloud),
        destination=next(iter(hubs.values())) if point_to_point else None,
        address=IPv4Interface((addresses[name], settings.subnet.prefixlen)),
        nhs=tuple(addresses[hub] for hub in hubs) if spoke else (),
        priorities=_priorities(lab, cloud, hubs) if spoke else (),
        static_maps=(*derived, *(StaticMap(each.protocol, each.nbma) for each in member.map)),
        map_multicast=default_multicast if member.map_multicast is None else member.map_multicast,
        map_multicast_dynamic=_role_default(member.role) if dynamic is None else dynamic,
        overlays=plan_ipv6.overlays(
            settings, name, _ipv6_addresses(lab, cloud, addresses), hubs, member.role
        ),
    )


def _ipv6_addresses(lab: Lab, cloud: str, addresses: dict[str, IPv4Address]) -> dict[str, IPv6Address]:
    """Each member's tunnel address of IPv6; empty where the cloud has none."""
    settings = lab.clouds[cloud]
    return plan_ipv6.addresses(
        settings, {name: lab.nodes[name].clouds[cloud].address_ipv6 for name in addresses}, addresses
    )


def _priorities(lab: Lab, cloud: str, hubs: Iterable[str]) -> tuple[int, ...]:
    """Of each hub; none where all have the default."""
    priorities = tuple(lab.nodes[hub].clouds[cloud].priority for hub in hubs)
    return priorities if any(priorities) else ()


def _role_default(role: Role) -> bool:
    return role == "hub"


def _hubs(lab: Lab, cloud: str) -> dict[str, Node]:
    """By priority, then in the order of the file."""
    members = [(name, node) for name, node in lab.nodes.items() if cloud in node.clouds]
    hubs = [(name, node) for name, node in members if node.clouds[cloud].role == "hub"]
    return dict(sorted(hubs, key=lambda hub: hub[1].clouds[cloud].priority))


def _isp(lab: Lab, access: tuple[AccessPlan, ...]) -> NodePlan:
    return NodePlan(lab.isp, "isp", _provided(lab, lab.isp, access), (), ())


def _nat(lab: Lab, name: str, access: tuple[AccessPlan, ...]) -> NodePlan:
    outside = lab.nats[name].nbma
    towards_isp = InterfacePlan(NBMA, _mac(lab.lab, name, NBMA), outside, False, NBMA_MTU, "nbma")
    interfaces = (towards_isp, *_provided(lab, name, access))
    return NodePlan(name, "nat", interfaces, (), (Route(DEFAULT, gateway_of(outside).ip),))


def _provided(lab: Lab, name: str, access: tuple[AccessPlan, ...]) -> tuple[InterfacePlan, ...]:
    """The near ends of a provider's lines."""
    ends = [(a.isp_interface, a.gateway) for a in access if a.provider == name]
    return tuple(
        InterfacePlan(end, _mac(lab.lab, name, end), gateway, False, NBMA_MTU, "nbma")
        for end, gateway in ends
    )


def host_address(lan: IPv4Interface) -> IPv4Address:
    """The address of the host in a LAN: the first one that is not the router's."""
    return next(a for a in lan.network.hosts() if a != lan.ip)


def _host(lab: Lab, router: str) -> NodePlan:
    lan, name = lab.nodes[router].lan, host_name(lab, router)
    assert lan is not None
    address = host_address(lan)
    lan_6 = lab.nodes[router].lan_ipv6
    interface = InterfacePlan(
        "eth1",
        _mac(lab.lab, name, "eth1"),
        IPv4Interface((address, lan.network.prefixlen)),
        False,
        NBMA_MTU,
        "lan",
        None if lan_6 is None else plan_ipv6.host_interface(lan_6),
    )
    routes = [Route(DEFAULT, lan.ip)] + ([] if lan_6 is None else [Route(DEFAULT_6, lan_6.ip)])
    return NodePlan(name, "host", (interface,), (), tuple(routes))
