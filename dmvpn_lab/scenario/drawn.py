"""Fault timelines by chance: the same seed, topology and number of faults give the same scenario."""

from __future__ import annotations

import random
from typing import Any

import yaml

from dmvpn_lab import checks
from dmvpn_lab.checks.ways import host_behind, ways
from dmvpn_lab.errors import UsageError
from dmvpn_lab.faults import registry
from dmvpn_lab.faults.registry import Kind
from dmvpn_lab.routing import protocol
from dmvpn_lab.scenario import model
from dmvpn_lab.scenario.model import Scenario, Step
from dmvpn_lab.scenario.rules import lasting
from dmvpn_lab.spec.plan_types import CloudPlan, Plan

UNDO_AT_ONCE = 0.5
"""How likely a fault that lasts is undone before the next; the others last until the end."""


def draw(plan: Plan, topology: str, seed: int, faults: int) -> Scenario:
    """A scenario of that many faults that apply to a lab. Raises UsageError when none does."""
    chance = random.Random(seed)
    drawn = [kind for kind in registry.kinds().values() if kind.drawn]
    choices = [(kind, node) for kind in drawn for node in kind.targets(plan)]
    if not choices:
        raise UsageError(f"no fault applies to {topology}", hint="one applies to a spoke with a lease")
    sound = [check.name for check in checks.ALL if _says_something(check.name, plan)]
    briefly = [_whole(name) for name in ("registration", "reachability") if name in sound]
    steps: list[Step] = [*briefly]
    last = 0
    for _ in range(faults):
        kind, node = chance.choice(choices)
        inject = model.Inject(inject=kind.name, node=node, options=kind.draw(chance, plan, node))
        tellers = _tellers(plan, node, inject, kind)
        steps += [inject, *_told(kind.recovered_by, tellers), *briefly]
        last += lasting(inject)
        if lasting(inject) and chance.random() < UNDO_AT_ONCE:
            steps += [model.Undo(undo="newest"), *_told(kind.recovered_by, tellers), *briefly]
            last -= 1
    if last:
        steps.append(model.Undo(undo="all"))
    steps += [_whole(name) for name in sound]
    title = f"{faults} faults drawn from seed {seed}"
    return Scenario(scenario=f"drawn-{seed}", title=title, topology=topology, steps=tuple(steps))


def _tellers(plan: Plan, node: str, inject: model.Inject, kind: Kind) -> list[str]:
    """Who tells that it is over: the node and who swapped with it; of a hub, every spoke of its clouds."""
    if kind.recovered_at == "node":
        return [node]
    spokes = [spoke.name for tunnel in plan.node(node).tunnels if tunnel.role == "hub"
              for spoke, _ in plan.ours(tunnel.cloud, "spoke")]  # fmt: skip
    swapped = [inject.options["swap"]] if "swap" in inject.options else []
    return list(dict.fromkeys(spokes)) or [node, *swapped]


def _told(event: str | None, nodes: list[str]) -> list[Step]:
    if event is None:
        return []
    return [model.Expect(expect=model.EventHappened(event=event, node=each)) for each in nodes]


def _whole(check: str) -> model.Settle:
    return model.Settle(settle=model.CheckPasses(check=check))


def _says_something(check: str, plan: Plan) -> bool:
    """Whether a check has anything to look at in this lab."""
    match check:
        case "encryption":
            return any(cloud.ipsec is not None for cloud in plan.clouds)
        case "resolution":
            return any(cloud.phase != 1 and _two_spokes_with_a_host(plan, cloud) for cloud in plan.clouds)
        case "shortcut":
            return any(cloud.phase == 3 and _two_spokes_with_a_host(plan, cloud) for cloud in plan.clouds)
        case "adjacency":
            return any(protocol(cloud.routing.protocol).exchanges_routes for cloud in plan.clouds)
        case "reachability":
            return any(ways(plan))
    return True


def _two_spokes_with_a_host(plan: Plan, cloud: CloudPlan) -> bool:
    return sum(host_behind(plan, spoke) is not None for spoke, _ in plan.ours(cloud.name, "spoke")) > 1


def dump(scenario: Scenario) -> str:
    """The scenario as a file."""
    steps = [_written(step) for step in scenario.steps]
    head: dict[str, Any] = {"scenario": scenario.scenario, "title": scenario.title}
    document = head | {"topology": scenario.topology, "steps": steps}
    return yaml.safe_dump(document, sort_keys=False, width=100)


def _written(step: Step) -> dict[str, Any]:
    """A step as it stands in a file: a fault's options beside `inject`, times with their unit."""
    data = step.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    data |= data.pop("options", {})
    for key in ("within", "for"):
        if key in data:
            data[key] = f"{data[key]:g}s"
    return data
