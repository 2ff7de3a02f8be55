"""The smallest lab: two hosts and a cable."""

from __future__ import annotations

from ipaddress import IPv4Interface

from dmvpn_lab.render import node as render_node
from dmvpn_lab.spec.plan_types import Endpoint, InterfacePlan, LinkPlan, NodePlan, Plan


def _interface(number: int) -> InterfacePlan:
    address = IPv4Interface(f"192.0.2.{number}/24")
    return InterfacePlan("eth1", f"02:00:00:00:00:0{number}", address, False, 1500, "lan")


def plain_plan(lab: str) -> Plan:
    """Two hosts and a cable."""
    nodes = tuple(
        NodePlan(name, "host", (_interface(number),), (), ()) for number, name in ((1, "one"), (2, "two"))
    )
    link = LinkPlan(Endpoint("one", "eth1"), Endpoint("two", "eth1"))
    return Plan(
        lab=lab, source="x.yml", digest="d", clouds=(), nodes=nodes, links=(link,), access=(), isp=None
    )


def plain_files(plan: Plan) -> dict[str, dict[str, str]]:
    """The nodes' own configuration, nothing else."""
    return {each.name: {render_node.PATH: render_node.node(plan, each)} for each in plan.nodes}
