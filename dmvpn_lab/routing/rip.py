"""RIP version 2 by FRR (RFC 2453).

Split horizon would keep the hub from telling one spoke of another, so it is off there, as RFC 2453
(section 3.9) allows where loops are otherwise excluded. A RIP route carries a next hop; the hub
puts its own address there, unless the topology wants the other spoke's.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.routing import frr
from dmvpn_lab.routing.base import Adjacency, Rendered
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, TunnelPlan

SOURCES = "Routing Information Sources:"
_SOURCE = re.compile(r"\s+(\d+\.\d+\.\d+\.\d+)\s+\d+\s+\d+\s+\d+\s+(\S+)\s*$")
SETTLE_S = 10.0


class Rip:
    """`routing: {protocol: rip}`."""

    name = "rip"
    exchanges_routes = True
    agent_query: str | None = None

    def render(self, plan: Plan, node: NodePlan) -> Rendered:
        """mgmtd, zebra and ripd."""
        return frr.rendered(node, "ripd", configuration(plan, node))

    def show_argv(self) -> tuple[str, ...]:
        """ripd's status, which ends with the routers that it hears."""
        return frr.show("ripd", "show ip rip status")

    def parse(self, output: str) -> tuple[Adjacency, ...]:
        """From FRR's text. RIP has no neighbours, only sources: ripd forgets one after 180 s."""
        _, found, rest = output.partition(SOURCES)
        if not found:
            raise ValueError("no status of ripd")
        matches = (_SOURCE.match(line) for line in rest.splitlines())
        return tuple(Adjacency(IPv4Address(m[1]), f"heard {m[2]} ago", True) for m in matches if m)

    def knows(self, cloud: CloudPlan, router: TunnelPlan, target: TunnelPlan, lan: IPv4Network) -> bool:
        """Split horizon hides one spoke from another."""
        return not (cloud.routing.split_horizon and router.role == target.role == "spoke")

    def deadline_s(self, cloud: CloudPlan) -> float:
        """A route goes from spoke to spoke in two updates, after the old one timed out."""
        return cloud.routing.dead_s + 3 * cloud.routing.hello_s + SETTLE_S


def configuration(plan: Plan, node: NodePlan) -> str:
    """ripd's configuration file for one router."""
    lines, router, maps = [], ["router rip", " version 2"], []
    for tunnel, routing in frr.tunnels(plan, node, "rip"):
        router.append(f" network {tunnel.name}")
        router.append(f" timers basic {routing.hello_s} {routing.dead_s} {2 * routing.hello_s}")
        if tunnel.role != "hub":
            continue
        if not routing.split_horizon:
            lines += [f"interface {tunnel.name}", " no ip rip split-horizon", "!"]
        if routing.next_hop_self:
            router.append(f" route-map {tunnel.cloud} out {tunnel.name}")
            maps += [f"route-map {tunnel.cloud} permit 10", f" set ip next-hop {tunnel.address.ip}", "!"]
    lan = node.lan_interface()
    if lan is not None:
        router += [f" network {lan.name}", f" passive-interface {lan.name}"]
    return frr.text(node, [*lines, *router, "!", *maps])
