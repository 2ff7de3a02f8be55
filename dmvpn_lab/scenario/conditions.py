"""Looks at a running lab once: is a condition so now, and what is there instead.

A look that puts packets on the wire (`ping`, `path`, `check`, `command`) may itself change what
another condition tells; `quiet` ones only read.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.running import Event, RunningLab, Watch
from dmvpn_lab.scenario import model
from dmvpn_lab.scenario.model import Condition
from dmvpn_lab.spec.plan_types import Plan

PING = ("ping", "-n", "-c", "1", "-W", "1")


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a condition is looked at."""

    lab: RunningLab
    watch: Watch
    since: float
    """Wall clock of the last act: earlier events do not count."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look showed."""

    so: bool
    words: str
    at: float | None = None
    """Wall clock at which it became so, where that is known better than by the look."""


def quiet(condition: Condition) -> bool:
    """Whether looking sends no packet into the lab's network."""
    return isinstance(condition, model.EventHappened | model.EntryExists)


async def look(condition: Condition, scene: Scene) -> Seen:
    """Look once. A node or agent that does not answer is seen as such. Raises UsageError."""
    try:
        return await _look(condition, scene)
    except LabError as error:
        return Seen(False, error.message)


async def _look(condition: Condition, scene: Scene) -> Seen:
    lab = scene.lab
    match condition:
        case model.EventHappened():
            return _event(condition, scene)
        case model.CheckPasses():
            return await _check(condition, scene)
        case model.EntryExists():
            return entry(condition, await lab.query(condition.node, condition.entry))
        case model.PingAnswered():
            target = address(lab.plan, condition.ping)
            answered = (await lab.exec(condition.from_, *PING, target)).exit_code == 0
            return Seen(answered, f"{target} {'answers' if answered else 'does not answer'}")
        case model.PathTaken():
            from dmvpn_lab.checks.reachability import trace

            hops = await trace(lab, condition.from_, address(lab.plan, condition.path))
            return Seen(tuple(hops) == condition.hops, " > ".join(hops) or "no hop")
        case model.CommandSays():
            done = await lab.exec(condition.node, *condition.command)
            said = (done.stdout or done.stderr).strip()
            so = done.exit_code == 0 and condition.says in done.stdout
            if so:  # of what may be pages, the line that counts
                said = next((line.strip() for line in said.splitlines() if condition.says in line), said)
            return Seen(so, _brief(said) or f"nothing; exit code {done.exit_code}")


def _event(condition: model.EventHappened, scene: Scene) -> Seen:
    """The first one since the act that fits; otherwise the nearest to it."""
    same = [e for e in scene.watch.seen if e["event"] == condition.event
            and condition.node in (None, e["node"]) and e["at"] >= scene.since]  # fmt: skip
    _has_facts(condition, same)
    for event in same:
        if all(name in event and fits(wanted, event[name]) for name, wanted in condition.facts.items()):
            return Seen(True, told(event), float(event["at"]))
    return Seen(False, f"{len(same)} others, the last {told(same[-1])}" if same else "no such event")


def _has_facts(condition: model.EventHappened, events: list[Event]) -> None:
    """A fact that the event never has would make `absent` true for ever. Raises UsageError."""
    known = {name for event in events for name in event} - {"v", "event", "at", "node"}
    if events and (unknown := [name for name in condition.facts if name not in known]):
        raise UsageError(
            f"the event {condition.event} has no fact {unknown[0]!r}",
            hint=f"it has: {', '.join(sorted(known))}",
        )


async def _check(condition: model.CheckPasses, scene: Scene) -> Seen:
    """Every result of the check, without its waiting. Who needs no check is spared the import of all."""
    from dmvpn_lab import checks

    check = next(each for each in checks.ALL if each.name == condition.check)
    hurried = dataclasses.replace(scene.watch, limit_s=0.0)
    results = [r async for r in check.run(scene.lab, hurried) if condition.node in (None, r.node)]
    for result in results:
        if not result.passed:
            return Seen(False, f"{result.node}: {result.observed}; not {result.expected}")
    if not results:
        return Seen(False, "the check has nothing to say of it")
    return Seen(True, f"{len(results)} of {len(results)} as they must be")


def entry(condition: model.EntryExists, table: Any) -> Seen:
    """Whether a table, as an agent answers, has an entry of those values."""
    if table is None:
        return Seen(False, "it does not run that protocol")
    for each in table:
        if all(fits(wanted, each[name]) for name, wanted in condition.has.items()):
            return Seen(True, " ".join(f"{name}={each[name]}" for name in condition.has))
    there = ["/".join(str(each[name]) for name in condition.has) for each in table]
    return Seen(False, _brief(", ".join(there)) or "an empty table")


def fits(wanted: Any, there: Any) -> bool:
    """Equal as text; a wanted value is in a list that is there; a wanted list is a part of it."""
    if isinstance(there, list):
        names = [str(each) for each in there]
        return all(str(each) in names for each in (wanted if isinstance(wanted, list) else [wanted]))
    if wanted is None or there is None or isinstance(wanted, bool) or isinstance(there, bool):
        return bool(wanted is there)
    return str(wanted) == str(there)


def told(event: Event) -> str:
    """An event in words, with its facts."""
    facts = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("v", "event", "at", "node"))
    return f"{event['node']} {event['event']} {facts}".rstrip()


def address(plan: Plan, target: str) -> str:
    """Of a host by name, or as it is. Raises UsageError for neither."""
    for node in plan.nodes:
        if node.name == target and node.kind == "host":
            found = node.interfaces[0].address
            assert found is not None
            return str(found.ip)
    try:
        return str(IPv4Address(target))
    except AddressValueError:
        hosts = ", ".join(node.name for node in plan.nodes if node.kind == "host")
        raise UsageError(f"{target!r} is no address and no host", hint=f"hosts: {hosts}") from None


def _brief(text: str, limit: int = 200) -> str:
    line = " / ".join(text.splitlines())
    return line if len(line) <= limit else line[: limit - 1] + "…"
