"""Conditions and steps in words."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from dmvpn_lab.scenario import model
from dmvpn_lab.scenario.model import Condition, StepPart
from dmvpn_lab.scenario.values import duration


def condition(what: Condition) -> str:
    """Such as `hub: nhrp entry protocol=10.0.0.11 nbma=172.16.1.2`."""
    match what:
        case model.EventHappened():
            return f"{_at(what.node)}event {what.event}{_facts(what.facts)}"
        case model.CheckPasses():
            return f"{_at(what.node)}check {what.check}"
        case model.EntryExists():
            return f"{what.node}: {what.entry} entry{_facts(what.has)}"
        case model.PingAnswered():
            return f"{what.from_}: {what.ping} answers"
        case model.PathTaken():
            return f"{what.from_}: to {what.path} by {' > '.join(what.hops)}"
        case model.CommandSays():
            return f"{what.node}: '{shlex.join(what.command)}' says {what.says!r}"


def step(what: StepPart) -> str:
    """What a step does or waits for."""
    match what:
        case model.Inject():
            return f"{what.node}: {what.inject}{_facts(what.options)}"
        case model.Trigger():
            return f"{what.node}: {shlex.join(what.trigger)}"
        case model.Clear():
            return f"{what.clear}: forget what was resolved"
        case model.Undo():
            return "everything" if what.undo == "all" else "the newest"
        case model.Expect():
            return condition(what.expect)
        case model.Settle():
            return condition(what.settle)
        case model.Absent():
            return condition(what.absent) + (f", for {duration(what.for_)}" if what.for_ else "")
        case model.Hold():
            return f"{condition(what.hold)}, for {duration(what.for_)}"
    raise TypeError(f"no step: {what!r}")


def _at(node: str | None) -> str:
    return f"{node}: " if node else ""


def _facts(facts: Mapping[str, Any]) -> str:
    return "".join(f" {name}={_word(value)}" for name, value in facts.items())


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_word(each) for each in value)
    return {None: "none", True: "yes", False: "no"}.get(value, str(value))
