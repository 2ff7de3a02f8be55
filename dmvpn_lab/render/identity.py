"""The IKE identities of a lab's routers: domain names, so that they stay when addresses change."""

from __future__ import annotations

from dmvpn_lab.spec.plan_types import NodePlan, Plan


def identity(plan: Plan, node: NodePlan) -> str:
    """Of a router, such as `spoke-a.ipsec.test`."""
    return f"{node.name}.{domain(plan)}"


def domain(plan: Plan) -> str:
    """Of all identities of a lab. `.test` is nobody's (RFC 6761)."""
    return f"{plan.lab}.test"


def owners(plan: Plan, cloud: str) -> dict[str, str]:
    """Tunnel address -> identity of the router that has it in the topology."""
    return {
        str(address): identity(plan, node)
        for node in plan.routers()
        for tunnel in node.tunnels
        if tunnel.cloud == cloud
        for address in tunnel.registered()
    }
