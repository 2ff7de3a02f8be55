"""A part of a plan: some of its routers, as if the topology had no others.

What the others are to those that are there stays: a spoke still has the static map and the NHS of a
hub that is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

from dmvpn_lab.errors import UsageError
from dmvpn_lab.spec.plan_types import NodePlan, Plan


def part(plan: Plan, routers: Collection[str]) -> Plan:
    """The plan with these routers, the hosts behind them, the NAT routers before them and the ISP router.

    Links to what is left out are left out. Raises UsageError for what is no router.
    """
    known = [node.name for node in plan.routers()]
    if unknown := [name for name in routers if name not in known]:
        raise UsageError(
            f"{unknown[0]!r} is no router of {plan.lab}",
            hint=f"name some of: {', '.join(known)}; their hosts and the ISP router come with them",
        )
    kept = set(routers) | ({plan.isp} if plan.isp else set())
    kept |= {nat for nat in map(plan.behind, routers) if nat is not None}
    for link in plan.links:
        if plan.node(link.b.node).kind == "host" and link.a.node in kept:
            kept.add(link.b.node)
    links = tuple(link for link in plan.links if {link.a.node, link.b.node} <= kept)
    wired = {(end.node, end.interface) for link in links for end in (link.a, link.b)}
    return replace(
        plan,
        digest=hashlib.sha256(f"{plan.digest} {sorted(routers)}".encode()).hexdigest(),
        nodes=tuple(_wired(node, wired) for node in plan.nodes if node.name in kept),
        links=links,
        access=tuple(line for line in plan.access if line.router in kept),
        left_out=tuple(node.name for node in plan.nodes if node.name not in kept),
    )


def _wired(node: NodePlan, ends: set[tuple[str, str]]) -> NodePlan:
    """A node with the interfaces that a link still leads to."""
    interfaces = tuple(each for each in node.interfaces if (node.name, each.name) in ends)
    return replace(node, interfaces=interfaces)
