"""All files of all nodes of a plan."""

from __future__ import annotations

from dmvpn_lab.render import agent, dhcp, external, ipsec, node
from dmvpn_lab.spec.plan_types import NodePlan, Plan


def files(plan: Plan) -> dict[str, dict[str, str]]:
    """Node name -> absolute path in the node -> text."""
    return {each.name: _files(plan, each) for each in plan.nodes}


def _files(plan: Plan, each: NodePlan) -> dict[str, str]:
    if each.external is not None:
        return external.files(plan, each, each.external)
    found = {node.PATH: node.node(plan, each), "/etc/hostname": f"{each.name}\n"}
    if each.tunnels:
        found[agent.PATH] = agent.agent(plan, each)
        found |= node.routing(plan, each).files
    found |= ipsec.files(plan, each)
    lines = [a for a in plan.access if a.provider == each.name and a.dynamic]
    found |= {dhcp.server_path(a): dhcp.server(a) for a in lines}
    for interface in each.interfaces:
        if interface.dhcp:
            found[dhcp.CLIENT_PATH], _ = dhcp.client(interface.name)
    return found
