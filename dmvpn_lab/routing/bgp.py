"""BGP by FRR (RFC 4271): the hub listens for its spokes and passes on what they say.

One AS: the hub is a route reflector (RFC 4456). Two: the spokes share one and the hub the other,
so the hub writes its own number over theirs, else a spoke would take another's route for a loop.
In both, the hub says that it is the next hop, unless the topology wants the other spoke's address.

Where tunnels carry IPv6 it has sessions of its own, between the IPv6 tunnel addresses.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Network, ip_address

from dmvpn_lab.address import IpAddress, IpInterface
from dmvpn_lab.routing import frr
from dmvpn_lab.routing.base import Adjacency, Rendered
from dmvpn_lab.spec.plan_types import CloudPlan, InterfacePlan, NodePlan, Plan, RoutingPlan, TunnelPlan

LISTEN_LIMIT = 5000
"""Spokes at the most; FRR's own limit is 100."""
IPV6_GROUP = "-ipv6"
"""Ends the name of the peer group of a cloud's IPv6 sessions."""
BEST_WEIGHT = 1000
"""Of the routes of a hub with priority 0, where hubs have different ones."""
SETTLE_S = 15.0
"""TCP's retransmissions of a connection that began before the spoke was registered."""


class Bgp:
    """`routing: {protocol: bgp}`."""

    name = "bgp"
    exchanges_routes = True
    agent_query: str | None = None

    def render(self, plan: Plan, node: NodePlan) -> Rendered:
        """mgmtd, zebra and bgpd."""
        return frr.rendered(node, "bgpd", configuration(plan, node))

    def show_argv(self) -> tuple[str, ...]:
        """FRR's peers as JSON."""
        return frr.show("bgpd", "show bgp summary json")

    def parse(self, output: str) -> tuple[Adjacency, ...]:
        """From FRR's JSON. Raises ValueError when it is none."""
        document = json.loads(output)
        try:
            return tuple(
                Adjacency(ip_address(peer), facts["state"], facts["state"] == "Established")
                for family in document.values()
                for peer, facts in family.get("peers", {}).items()
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not FRR's list of peers: {error}") from error

    def knows(self, cloud: CloudPlan, router: TunnelPlan, target: TunnelPlan, lan: IPv4Network) -> bool:
        """The hub reflects."""
        return True

    def deadline_s(self, cloud: CloudPlan) -> float:
        """An old session must time out first; a spoke tries again each hello interval."""
        return cloud.routing.dead_s + 2 * cloud.routing.hello_s + SETTLE_S


def local_asn(routing: RoutingPlan, tunnel: TunnelPlan) -> int:
    """The AS of a router in a cloud."""
    return routing.asn if tunnel.role == "hub" else routing.spoke_asn


def configuration(plan: Plan, node: NodePlan) -> str:
    """bgpd's configuration file for one router."""
    ours = list(frr.tunnels(plan, node, "bgp"))
    asn = local_asn(ours[0][1], ours[0][0])
    lines = [
        f"router bgp {asn}",
        f" bgp router-id {node.tunnels[0].address.ip}",
        " no bgp default ipv4-unicast",
        " no bgp ebgp-requires-policy",
        f" bgp listen limit {LISTEN_LIMIT}",
    ]
    lan = node.lan_interface()
    families = []
    for version in (4, 6):
        family = _networks(lan, version)
        members = [each for each in ours if version in {a.version for a in each[0].addresses()}]
        for tunnel, routing in members:
            neighbours, policy = (_hub if tunnel.role == "hub" else _spoke)(tunnel, routing, version)
            lines += neighbours
            family += policy
        if members:
            head = f" address-family ipv{version} unicast"
            families += [head, *family, " exit-address-family"]
    return frr.text(node, [*lines, *families, "!"])


def _networks(lan: InterfacePlan | None, version: int) -> list[str]:
    """The LAN, in that family, is ours to tell."""
    addresses: tuple[IpInterface, ...] = () if lan is None else lan.addresses()
    return [f"  network {each.network}" for each in addresses if each.version == version]


def _hub(tunnel: TunnelPlan, routing: RoutingPlan, version: int) -> tuple[list[str], list[str]]:
    group = tunnel.cloud if version == 4 else f"{tunnel.cloud}{IPV6_GROUP}"
    subnet = next(each.network for each in tunnel.addresses() if each.version == version)
    lines = [
        f" neighbor {group} peer-group",
        f" neighbor {group} remote-as {routing.spoke_asn}",
        f" neighbor {group} timers {routing.hello_s} {routing.dead_s}",
        f" bgp listen range {subnet} peer-group {group}",
    ]
    internal = routing.asn == routing.spoke_asn
    family = [
        f"  neighbor {group} activate",
        f"  neighbor {group} {'route-reflector-client' if internal else 'as-override'}",
    ]
    if routing.next_hop_self:
        family.append(f"  neighbor {group} next-hop-self force")
    return lines, family


def _spoke(tunnel: TunnelPlan, routing: RoutingPlan, version: int) -> tuple[list[str], list[str]]:
    lines, family = [], []
    servers: tuple[IpAddress, ...] = tunnel.nhs if version == 4 else tunnel.overlays[0].nhs
    ranked = len(set(tunnel.priorities)) > 1
    priorities = tunnel.priorities or (0,) * len(servers)
    for hub, priority in zip(servers, priorities, strict=True):
        lines += [
            f" neighbor {hub} remote-as {routing.asn}",
            f" neighbor {hub} timers {routing.hello_s} {routing.dead_s}",
            f" neighbor {hub} timers connect {routing.hello_s}",
        ]
        family.append(f"  neighbor {hub} activate")
        if ranked:  # the hub that is asked first also carries the packets
            family.append(f"  neighbor {hub} weight {BEST_WEIGHT - priority}")
    return lines, family
