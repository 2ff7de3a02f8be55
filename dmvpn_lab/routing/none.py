"""No routing protocol: tunnels and multicast only."""

from __future__ import annotations

from ipaddress import IPv4Network

from dmvpn_lab.routing.base import Adjacency, Rendered
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, TunnelPlan


class NoRouting:
    """`routing: {protocol: none}`."""

    name = "none"
    exchanges_routes = False
    agent_query: str | None = None

    def render(self, plan: Plan, node: NodePlan) -> Rendered:
        """Nothing."""
        return Rendered()

    def show_argv(self) -> tuple[str, ...]:
        """Nothing to show."""
        return ("true",)

    def parse(self, output: str) -> tuple[Adjacency, ...]:
        """No neighbours."""
        return ()

    def knows(self, cloud: CloudPlan, router: TunnelPlan, target: TunnelPlan, lan: IPv4Network) -> bool:
        """Nobody gets any."""
        return False

    def deadline_s(self, cloud: CloudPlan) -> float:
        """Nothing to wait for."""
        return 0.0
