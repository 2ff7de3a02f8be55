"""OSPF by FRR (RFC 2328), as point-to-multipoint or as broadcast network.

Point-to-multipoint is made for a hub and its spokes: each router is a host route in it, so one
spoke reaches another's address through the hub, and no designated router is elected on a network
where spokes do not hear each other. As broadcast network the hub must be the designated router:
priority 0 keeps the spokes from it. The next hop is then the other spoke itself.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from dmvpn_lab.routing import frr
from dmvpn_lab.routing.base import Adjacency, Rendered
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, TunnelPlan

RETRANSMIT_S = 5.0
"""OSPF's RxmtInterval: a lost packet of the database exchange costs this much."""


class Ospf:
    """`routing: {protocol: ospf}`."""

    name = "ospf"
    exchanges_routes = True
    agent_query: str | None = None

    def render(self, plan: Plan, node: NodePlan) -> Rendered:
        """mgmtd, zebra and ospfd."""
        return frr.rendered(node, "ospfd", configuration(plan, node))

    def show_argv(self) -> tuple[str, ...]:
        """FRR's neighbours as JSON."""
        return frr.show("ospfd", "show ip ospf neighbor json")

    def parse(self, output: str) -> tuple[Adjacency, ...]:
        """From FRR's JSON. Raises ValueError when it is none."""
        document = json.loads(output)
        try:
            entries = [entry for each in document.get("neighbors", {}).values() for entry in each]
            return tuple(_adjacency(entry) for entry in entries)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not FRR's list of neighbours: {error}") from error

    def knows(self, cloud: CloudPlan, router: TunnelPlan, target: TunnelPlan, lan: IPv4Network) -> bool:
        """A link-state protocol tells everybody of everybody."""
        return True

    def deadline_s(self, cloud: CloudPlan) -> float:
        """A hello each way, the exchange with one retransmission, and the flooding beyond the hub.

        A neighbour whose old adjacency must first time out costs the dead interval; the election
        of a designated router waits as long again.
        """
        routing = cloud.routing
        election_s = routing.dead_s if routing.network_type == "broadcast" else 0
        return election_s + routing.dead_s + 2 * routing.hello_s + 2 * RETRANSMIT_S


def configuration(plan: Plan, node: NodePlan) -> str:
    """ospfd's configuration file for one router."""
    lines = []
    for tunnel, routing in frr.tunnels(plan, node, "ospf"):
        lines += [f"interface {tunnel.name}", f" ip ospf network {routing.network_type}"]
        if routing.network_type == "broadcast":
            lines.append(f" ip ospf priority {255 if tunnel.role == 'hub' else 0}")
        lines += [
            f" ip ospf hello-interval {routing.hello_s}",
            f" ip ospf dead-interval {routing.dead_s}",
            " ip ospf area 0",
            "!",
        ]
    lan = node.lan_interface()
    if lan is not None:
        lines += [f"interface {lan.name}", " ip ospf area 0", " ip ospf passive", "!"]
    # With proactive ARP ospfd has the kernel resolve each new neighbour (NTF_USE), which takes the
    # PERMANENT state off the binding that the agent installed.
    router = ["router ospf", f" ospf router-id {node.tunnels[0].address.ip}", " no proactive-arp", "!"]
    return frr.text(node, [*lines, *router])


def _adjacency(entry: dict[str, Any]) -> Adjacency:
    # FRR 10 says "nbrState": "Full/-"; earlier ones "state".
    state = str(entry.get("nbrState") or entry.get("state") or "unknown").partition("/")[0]
    return Adjacency(IPv4Address(entry["ifaceAddress"]), state, state == "Full")
