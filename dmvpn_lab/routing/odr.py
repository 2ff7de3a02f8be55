"""On-demand routing by dmvpn-lab's own agent: prefixes and the default route in CDP packets over GRE.

No routing protocol runs on a spoke: it tells what is connected, and its one route leads to the hub.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from dmvpn_lab.routing.base import Adjacency, Rendered
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, TunnelPlan

SETTLE_S = 10.0


class Odr:
    """`routing: {protocol: odr}`."""

    name = "odr"
    exchanges_routes = True
    agent_query: str | None = "odr"

    def render(self, plan: Plan, node: NodePlan) -> Rendered:
        """A part of the agent's configuration."""
        return Rendered(agent={"odr": agent_part(plan, node)})

    def show_argv(self) -> tuple[str, ...]:
        """Nothing: the agent is asked."""
        return ()

    def parse(self, output: str) -> tuple[Adjacency, ...]:
        """From the agent's answer. Raises ValueError when it is none."""
        document = json.loads(output)
        try:
            return tuple(
                Adjacency(IPv4Address(each["address"]), "heard", True) for each in document["neighbours"]
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not the agent's list of neighbours: {error}") from error

    def knows(self, cloud: CloudPlan, router: TunnelPlan, target: TunnelPlan, lan: IPv4Network) -> bool:
        """The hub knows all LANs, and a spoke's default route covers them."""
        return True

    def deadline_s(self, cloud: CloudPlan) -> float:
        """An old neighbour times out; then a packet each way."""
        return cloud.routing.dead_s + 2 * cloud.routing.hello_s + SETTLE_S


def agent_part(plan: Plan, node: NodePlan) -> dict[str, Any]:
    """What the agent is told. Read by `daemon/odr_config.py`."""
    tunnels = [
        (t, plan.cloud(t.cloud)) for t in node.tunnels if plan.cloud(t.cloud).routing.protocol == "odr"
    ]
    lan = node.lan_interface()
    return {
        "device": node.name,
        "tunnels": [
            {
                "name": tunnel.name,
                "address": str(tunnel.address),
                "hub": tunnel.role == "hub",
                "hello_s": cloud.routing.hello_s,
                "hold_s": cloud.routing.dead_s,
            }
            for tunnel, cloud in tunnels
        ],
        "lans": [] if lan is None else [{"name": lan.name, "address": str(lan.address)}],
    }
