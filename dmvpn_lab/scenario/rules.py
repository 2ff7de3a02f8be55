"""What a scenario must keep besides its schema: it fits its topology, and it proves something."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from dmvpn_lab import answers, checks
from dmvpn_lab.errors import Problem, UsageError
from dmvpn_lab.faults import registry
from dmvpn_lab.scenario import conditions, model
from dmvpn_lab.scenario.model import ACTS, Condition, Scenario, StepPart, step_word
from dmvpn_lab.spec.load import Document, Path_
from dmvpn_lab.spec.plan_types import Plan

TABLES: dict[str, Any] = {
    "nhrp": answers.NhrpEntry,
    "nhs": answers.NhsEntry,
    "multicast": answers.MulticastEntry,
    "ipsec": answers.IpsecEntry,
    "eigrp-neighbors": answers.EigrpNeighbour,
    "eigrp-interfaces": answers.EigrpInterface,
}
"""Queries that are lists, with the shape of an entry."""


def problems(scenario: Scenario, plan: Plan, document: Document) -> list[Problem]:
    """All of them."""
    return [
        document.problem(path, message, hint=hint)
        for path, message, hint in (*_order(scenario), *_parts(scenario, plan))
    ]


Finding = tuple[Path_, str, str | None]
"""Where, what is wrong, what to do."""


def _order(scenario: Scenario) -> Iterator[Finding]:
    """Every act is followed by what proves it; what must be caused follows an act."""
    steps = scenario.steps
    if not any(isinstance(step, model.Expect) for step in steps):
        yield ("steps",), "no step says what an act causes", "add an act and an `expect` after it"
    acted, open_acts = False, 0
    for number, step in enumerate(steps):
        path = ("steps", number)
        if isinstance(step, model.Expect) and not acted:
            yield path, "nothing has been done yet that could cause it", "`settle` waits for what must be so"
        if isinstance(step, ACTS):
            acted = True
            follower = steps[number + 1] if number + 1 < len(steps) else None
            unseen = isinstance(follower, ACTS) and not isinstance(step, model.Clear)
            if follower is None or unseen:
                yield path, "nothing is looked at after it", "add an `expect`, `absent`, `hold` or `settle`"
        if isinstance(step, model.Undo):
            if not open_acts:
                yield path, "there is nothing to undo here", "`undo` takes back what lasts until then"
            open_acts = 0 if step.undo == "all" else open_acts - 1
        open_acts += lasting(step)
        if isinstance(step, model.Hold) and not step.for_:
            yield (*path, "for"), "holds for no time at all", "`settle` with `within: 0s` looks once"


def lasting(step: StepPart) -> bool:
    """Whether `undo` has something to take back after a step."""
    if isinstance(step, model.Inject):
        found = registry.kinds().get(step.inject)
        return found is not None and found.lasting
    return isinstance(step, model.Trigger) and step.restore is not None


def _parts(scenario: Scenario, plan: Plan) -> Iterator[Finding]:
    for number, step in enumerate(scenario.steps):
        path: Path_ = ("steps", number)
        match step:
            case model.Inject():
                yield from _inject(step, plan, path)
            case model.Trigger():
                yield from _node(plan, step.node, (*path, "node"))
            case model.Clear():
                yield from _router(plan, step.clear, (*path, "clear"))
            case model.Expect() | model.Settle() | model.Absent() | model.Hold():
                word = str(step_word(step))
                yield from condition(getattr(step, word), plan, (*path, word))


def _inject(step: model.Inject, plan: Plan, path: Path_) -> Iterator[Finding]:
    try:
        kind = registry.kind(step.inject)
    except UsageError as error:
        yield (*path, "inject"), error.message, error.hint
        return
    targets = kind.targets(plan)
    if step.node not in targets:
        hint = f"it can be done to: {', '.join(targets)}" if targets else "this topology has none"
        yield (*path, "node"), f"{step.inject} cannot be done to {step.node!r}", hint
    try:
        kind.check(step.options)
    except UsageError as error:
        named = next((name for name, value in step.options.items()
                      if repr(name) in error.message or repr(value) in error.message), None)  # fmt: skip
        yield ((*path, named) if named else path), error.message, error.hint
    if "swap" in step.options and step.options["swap"] not in targets:
        yield (*path, "swap"), f"there is no {step.options['swap']!r} to swap with", None


def condition(wanted: Condition, plan: Plan, path: Path_) -> Iterator[Finding]:
    """What is wrong with a condition on a topology."""
    match wanted:
        case model.EventHappened():
            yield from _known("event", wanted.event, answers.EVENTS, (*path, "event"))
            if wanted.node is not None:
                yield from _router(plan, wanted.node, (*path, "node"))
        case model.CheckPasses():
            yield from _known("check", wanted.check, [c.name for c in checks.ALL], (*path, "check"))
            if wanted.node is not None:
                yield from _node(plan, wanted.node, (*path, "node"))
        case model.EntryExists():
            yield from _router(plan, wanted.node, (*path, "node"))
            yield from _known("table", wanted.entry, TABLES, (*path, "entry"))
            columns = getattr(TABLES.get(wanted.entry), "__annotations__", wanted.has)
            for name in wanted.has:
                yield from _known("column", name, columns, (*path, "has", name))
        case model.PingAnswered():
            yield from _target(plan, wanted.ping, wanted.from_, (*path, "ping"), path)
        case model.PathTaken():
            yield from _target(plan, wanted.path, wanted.from_, (*path, "path"), path)
        case model.CommandSays():
            yield from _node(plan, wanted.node, (*path, "node"))


def _target(plan: Plan, target: str, source: str, at: Path_, path: Path_) -> Iterator[Finding]:
    yield from _node(plan, source, (*path, "from"))
    try:
        conditions.address(plan, target)
    except UsageError as error:
        yield at, error.message, error.hint


def _known(what: str, name: str, known: Iterable[str], path: Path_) -> Iterator[Finding]:
    names = list(known)
    if name not in names:
        near = difflib.get_close_matches(name, names, 1, 0.7)
        hint = f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(names)}"
        yield path, f"there is no {what} {name!r}", hint


def _node(plan: Plan, name: str, path: Path_) -> Iterator[Finding]:
    yield from _known("node", name, [node.name for node in plan.nodes], path)


def _router(plan: Plan, name: str, path: Path_) -> Iterator[Finding]:
    yield from _known("router", name, [node.name for node in plan.agents()], path)
