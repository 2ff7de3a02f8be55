"""What a fault is: something done to a running lab that can be undone, in another process too."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from ipaddress import IPv4Interface
from typing import Any

from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec.plan_types import AccessPlan

LINES, FAULTS = "lines", "faults"


@dataclass(frozen=True, slots=True)
class Line:
    """The addresses of one access line as they are now."""

    router: str
    customer: IPv4Interface
    gateway: IPv4Interface


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault that is in force."""

    number: int
    fault: str
    node: str
    what: str
    undo: dict[str, Any]
    """For the fault's own `undo`; JSON."""


def lines(lab: RunningLab) -> dict[str, Line]:
    """The (first) access line of every router: as the plan has it, or as faults have changed it."""
    found: dict[str, Line] = {}
    for each in lab.plan.access:
        found.setdefault(each.router, Line(each.router, each.customer, each.gateway))
    for router, (customer, gateway) in (LabFolder(lab.plan.lab).read_json(LINES) or {}).items():
        found[router] = Line(router, IPv4Interface(customer), IPv4Interface(gateway))
    return found


def remember_lines(lab: RunningLab, changed: tuple[Line, ...]) -> None:
    """Keep what these lines are now."""
    all_lines = lines(lab) | {line.router: line for line in changed}
    written = {name: (str(each.customer), str(each.gateway)) for name, each in all_lines.items()}
    LabFolder(lab.plan.lab).write_json(LINES, written)


def in_force(lab: RunningLab) -> list[Injected]:
    """The faults of a lab, oldest first."""
    return [Injected(**each) for each in LabFolder(lab.plan.lab).read_json(FAULTS) or []]


def record(lab: RunningLab, fault: str, node: str, what: str, undo: dict[str, Any]) -> Injected:
    """Remember a fault before it is done, so that a killed command leaves something to undo."""
    before = in_force(lab)
    injected = Injected(max((f.number for f in before), default=0) + 1, fault, node, what, undo)
    _write(lab, [*before, injected])
    return injected


def forget(lab: RunningLab, number: int) -> None:
    """A fault is undone."""
    _write(lab, [each for each in in_force(lab) if each.number != number])


def access_of(lab: RunningLab, line: Line) -> AccessPlan:
    """The plan's access line with the addresses of `line`."""
    planned = next(a for a in lab.plan.access if a.router == line.router)
    return AccessPlan(
        router=line.router,
        provider=planned.provider,
        isp_interface=planned.isp_interface,
        gateway=line.gateway,
        customer=line.customer,
        customer_mac=planned.customer_mac,
        dynamic=planned.dynamic,
        interface=planned.interface,
    )


def _write(lab: RunningLab, faults: list[Injected]) -> None:
    LabFolder(lab.plan.lab).write_json(FAULTS, [asdict(each) for each in faults])
