"""`inject link-down` and `link-up`: a router's line loses its carrier, and gets it back.

Done at the far end, so that the router sees what it would see of a cut cable.
"""

from __future__ import annotations

from dmvpn_lab.errors import UsageError
from dmvpn_lab.faults.base import Injected, Line, forget, in_force, lines, record
from dmvpn_lab.running import RunningLab

NAME = "link-down"


async def inject(lab: RunningLab, node: str, *, lan: bool = False) -> Injected:
    """Cut the NBMA line, or the cable of the LAN. Raises UsageError, LabError."""
    lab.router(node)
    if of(lab, node, lan=lan) is not None:
        raise UsageError(f"{node}'s {_word(lan)} is down already", hint=f"dmvpn-lab inject link-up {node}")
    far, interface = _far_end(lab, node, lan)
    undo = {"node": far, "interface": interface, "lan": lan}
    injected = record(lab, NAME, node, f"{node}'s {_word(lan)} is cut at {far} {interface}", undo)
    await lab.must(far, "ip", "link", "set", interface, "down")
    return injected


async def undo(lab: RunningLab, fault: Injected) -> tuple[Line, ...]:
    """Plug it in again. A line with a lease is followed until it has recovered."""
    await lab.must(fault.undo["node"], "ip", "link", "set", fault.undo["interface"], "up")
    await _default_route(lab, fault)
    forget(lab, fault.number)
    dynamic = any(a.router == fault.node and a.dynamic for a in lab.plan.access)
    return (lines(lab)[fault.node],) if dynamic and not fault.undo["lan"] else ()


def of(lab: RunningLab, node: str, *, lan: bool = False) -> Injected | None:
    """The cut that is in force."""
    cuts = [f for f in in_force(lab) if (f.fault, f.node) == (NAME, node) and f.undo["lan"] == lan]
    return cuts[-1] if cuts else None


async def _default_route(lab: RunningLab, fault: Injected) -> None:
    """The far end loses the routes over an interface that it sets down; a NAT router needs its default."""
    node = lab.plan.node(fault.undo["node"])
    for route in node.routes:
        await lab.must(node.name, "ip", "route", "replace", str(route.destination), "via", str(route.via))


def _far_end(lab: RunningLab, node: str, lan: bool) -> tuple[str, str]:
    if not lan:
        access = next(a for a in lab.plan.access if a.router == node)
        return access.provider, access.isp_interface
    near = lab.plan.node(node).lan_interface()
    for link in lab.plan.links:
        if near is not None and (link.a.node, link.a.interface) == (node, near.name):
            return link.b.node, link.b.interface
    raise UsageError(f"{node} has no LAN", hint="leave --lan out for its NBMA line")


def _word(lan: bool) -> str:
    return "LAN" if lan else "line"
