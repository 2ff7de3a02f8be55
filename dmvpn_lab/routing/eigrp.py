"""EIGRP by dmvpn-lab's own agent (RFC 7868): the deck's protocol, with its options on hub and spokes.

There is no further program: the agent's configuration file has an `eigrp` part, and the agent tells
its neighbours on the control socket.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from dmvpn_lab.routing.base import Adjacency, Rendered
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, RoutingPlan, TunnelPlan

STUB = {
    "connected": 0x1,
    "static": 0x2,
    "summary": 0x4,
    "redistributed": 0x8,
    "leak-map": 0x10,
    "receive-only": 0x20,
}
TUNNEL_DELAY_US = 500_000
"""What a router assumes of a tunnel (RFC 7868 section 5.6.1.2)."""
LAN_BANDWIDTH_KBPS = 100_000
LAN_DELAY_US = 100
PACKETS_A_SPOKE = 8
"""Reliable packets between a hub and one spoke until both have everything, with some to spare."""
SETTLE_S = 10.0


class Eigrp:
    """`routing: {protocol: eigrp}`."""

    name = "eigrp"
    exchanges_routes = True
    agent_query: str | None = "eigrp-neighbors"

    def render(self, plan: Plan, node: NodePlan) -> Rendered:
        """A part of the agent's configuration."""
        return Rendered(agent={"eigrp": agent_part(plan, node)})

    def show_argv(self) -> tuple[str, ...]:
        """Nothing: the agent is asked."""
        return ()

    def parse(self, output: str) -> tuple[Adjacency, ...]:
        """From the agent's answer. Raises ValueError when it is none."""
        document = json.loads(output)
        try:
            return tuple(_adjacency(each) for each in document)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the agent's list of neighbours: {error}") from error

    def knows(self, cloud: CloudPlan, router: TunnelPlan, target: TunnelPlan, lan: IPv4Network) -> bool:
        """Stubs that do not announce what is connected are not known; split horizon hides spokes."""
        routing = cloud.routing
        words = {"connected", *(["redistributed"] if "connected" in routing.redistribute else [])}
        if target.role == "spoke" and routing.stub and words.isdisjoint(routing.stub):
            return False
        if router.role == target.role == "spoke" and routing.split_horizon:
            return any(lan.subnet_of(summary) for summary in routing.summaries)
        return True

    def deadline_s(self, cloud: CloudPlan) -> float:
        """An old neighbour times out, a hello each way, and the packets of all spokes, paced."""
        routing = cloud.routing
        pacing_s = cloud.mtu * 8 / (routing.bandwidth_kbps * 1000 * routing.bandwidth_percent / 100)
        settle_s = PACKETS_A_SPOKE * routing.spokes * pacing_s
        return routing.dead_s + 2 * routing.hello_s + settle_s + SETTLE_S


def agent_part(plan: Plan, node: NodePlan) -> dict[str, Any]:
    """What the agent is told. Read by `daemon/eigrp_config.py`."""
    tunnels = [
        (t, plan.cloud(t.cloud)) for t in node.tunnels if plan.cloud(t.cloud).routing.protocol == "eigrp"
    ]
    wide = any(cloud.routing.metrics == "wide" for _, cloud in tunnels)
    interfaces = [_tunnel(tunnel, cloud) | {"wide": wide} for tunnel, cloud in tunnels]
    lan = node.lan_interface()
    if lan is not None:
        interfaces.append(
            {
                "name": lan.name,
                "address": str(lan.address),
                "mtu": lan.mtu,
                "bandwidth_kbps": LAN_BANDWIDTH_KBPS,
                "delay_us": LAN_DELAY_US,
                "hello_s": tunnels[0][1].routing.hello_s,
                "hold_s": tunnels[0][1].routing.dead_s,
                "passive": True,
                "wide": wide,
                "external": all("connected" in cloud.routing.redistribute for _, cloud in tunnels),
                "statics": _statics(node, tunnels),
            }
        )
    return {
        "asn": tunnels[0][1].routing.asn,
        "router_id": str(node.tunnels[0].address.ip),
        "stub": _stub(tunnels),
        "leaks": sorted({str(leak) for _, cloud in tunnels for leak in cloud.routing.leaks}),
        "interfaces": interfaces,
    }


def _tunnel(tunnel: TunnelPlan, cloud: CloudPlan) -> dict[str, Any]:
    routing = cloud.routing
    hub = tunnel.role == "hub"
    return {
        "name": tunnel.name,
        "address": str(tunnel.address),
        "mtu": cloud.mtu,
        "bandwidth_kbps": routing.bandwidth_kbps,
        "bandwidth_percent": routing.bandwidth_percent,
        "delay_us": TUNNEL_DELAY_US,
        "hello_s": routing.hello_s,
        "hold_s": routing.dead_s,
        "split_horizon": routing.split_horizon if hub else True,
        "next_hop_self": routing.next_hop_self,
        "summaries": [str(summary) for summary in routing.summaries] if hub else [],
        "copies": tunnel.mode == "multipoint",
        "authentication": _authentication(routing),
    }


def _authentication(routing: RoutingPlan) -> dict[str, Any] | None:
    key = routing.authentication
    return None if key is None else {"mode": key.mode, "key": key.secret, "key_id": key.id}


def _statics(node: NodePlan, tunnels: list[tuple[TunnelPlan, CloudPlan]]) -> list[str]:
    """The static routes that are redistributed: all but the default route, which is the ISP's."""
    if not any("static" in cloud.routing.redistribute for _, cloud in tunnels):
        return []
    return [str(route.destination) for route in node.routes if route.destination.prefixlen]


def _stub(tunnels: list[tuple[TunnelPlan, CloudPlan]]) -> int | None:
    """The stub bits of a router: those of the clouds in which it is a spoke."""
    words = {word for tunnel, cloud in tunnels if tunnel.role == "spoke" for word in cloud.routing.stub}
    return sum(STUB[word] for word in words) if words else None


def _adjacency(entry: dict[str, Any]) -> Adjacency:
    up = bool(entry["up"])
    return Adjacency(IPv4Address(entry["address"]), "up" if up else "pending", up)
