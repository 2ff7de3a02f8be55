"""`inject nat-rebind`: a NAT router gets another address towards the ISP. Nobody behind it is told.

What was open through it is closed: its own connections, with the old address, are forgotten by the
kernel. The spokes behind it come back when they register next, at the latest.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

from dmvpn_lab.errors import UsageError
from dmvpn_lab.faults.base import Injected, Line, forget, lines, record, remember_lines
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import NodePlan

NAME = "nat-rebind"
OUTSIDE = "eth1"


async def inject(lab: RunningLab, node: str) -> Injected:
    """Give a NAT router the next free address of its subnet. Raises UsageError, LabError."""
    before = _nat_line(lab, node)
    after = Line(node, _next_free(before), before.gateway)
    undo = {"customer": str(before.customer), "changed": str(after.customer)}
    injected = record(lab, NAME, node, f"{node} {before.customer} -> {after.customer}", undo)
    await _change(lab, before, after)
    return injected


async def undo(lab: RunningLab, fault: Injected) -> tuple[Line, ...]:
    """Give it the old address back. No router's own line changed, so there is none to follow."""
    before = _nat_line(lab, fault.node)
    await _change(lab, before, Line(fault.node, IPv4Interface(fault.undo["customer"]), before.gateway))
    forget(lab, fault.number)
    return ()


def behind(lab: RunningLab, node: str) -> tuple[NodePlan, ...]:
    """The routers behind a NAT router."""
    return tuple(router for router in lab.plan.routers() if lab.plan.behind(router.name) == node)


def _nat_line(lab: RunningLab, node: str) -> Line:
    if lab.node(node).kind != "nat":
        nats = ", ".join(each.name for each in lab.plan.nodes if each.kind == "nat") or "none"
        raise UsageError(f"{node} is no NAT router", hint=f"NAT routers: {nats}")
    return lines(lab)[node]


def _next_free(line: Line) -> IPv4Interface:
    network = line.customer.network
    first, hosts = int(network.network_address) + 1, network.num_addresses - 2
    for step in range(1, hosts):
        free = IPv4Address(first + (int(line.customer.ip) - first + step) % hosts)
        if free != line.gateway.ip:
            return IPv4Interface((free, network.prefixlen))
    raise UsageError(f"no other address is free in {network}", hint="give the NAT router a larger subnet")


async def _change(lab: RunningLab, before: Line, after: Line) -> None:
    """The old address first: the kernel then forgets what was translated to it."""
    nat = before.router
    await lab.must(nat, "ip", "address", "delete", str(before.customer), "dev", OUTSIDE)
    await lab.must(nat, "ip", "address", "add", str(after.customer), "dev", OUTSIDE)
    await lab.must(nat, "ip", "route", "replace", "default", "via", str(after.gateway.ip))
    remember_lines(lab, (after,))
