"""From a scenario file to a scenario and the plan of its topology, or every problem at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dmvpn_lab import controller
from dmvpn_lab.errors import Problem, TopologyError, UsageError
from dmvpn_lab.scenario import rules
from dmvpn_lab.scenario.model import CONDITIONS, STEPS, Scenario
from dmvpn_lab.spec import load as yaml_file
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.load import Document, Path_
from dmvpn_lab.spec.plan_types import Plan
from dmvpn_lab.spec.validate import expected


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario that fits its topology."""

    scenario: Scenario
    topology: Path
    plan: Plan


def bundled_scenarios() -> Path:
    """`lab/scenarios/` of a checkout, or its copy in an installed wheel."""
    installed = controller.PACKAGE / "_lab" / "scenarios"
    return installed if installed.is_dir() else controller.PACKAGE.parent / "lab" / "scenarios"


def find(name: str) -> Path:
    """A path as it is, or the bundled scenario of that name. Raises UsageError."""
    path = Path(name)
    if path.is_file():
        return path
    bundled = bundled_scenarios() / f"{name}.yml"
    if bundled.is_file() and "/" not in name:
        return bundled
    names = ", ".join(sorted(each.stem for each in bundled_scenarios().glob("*.yml")))
    raise UsageError(f"there is no scenario {name!r}", hint=f"name a file, or one of: {names}")


def read(path: Path) -> Loaded:
    """The scenario of a file. Raises TopologyError with all its problems, or its topology's."""
    document = yaml_file.load(path, "the keys scenario, topology and steps")
    scenario = _scenario(document)
    topology = _topology(document, scenario, path.parent)
    plan = planner.read(topology)
    found = [*document.problems, *rules.problems(scenario, plan, document)]
    if found:
        raise TopologyError(found)
    return Loaded(scenario, topology, plan)


def _scenario(document: Document) -> Scenario:
    try:
        return Scenario.model_validate(document.data)
    except ValidationError as error:
        found = [*document.problems, *(_problem(document, each) for each in error.errors())]
    raise TopologyError(found)


def _topology(document: Document, scenario: Scenario, folder: Path) -> Path:
    """A file beside the scenario, or as `up` finds it."""
    beside = folder / scenario.topology
    if beside.is_file():
        return beside
    try:
        return controller.find_topology(scenario.topology)
    except UsageError as error:
        raise TopologyError((document.problem(("topology",), error.message, hint=error.hint),)) from error


def _problem(document: Document, error: Any) -> Problem:
    path, kind = _path(error["loc"]), error["type"]
    if kind == "extra_forbidden":
        return document.problem(path, "unknown key", hint=_did_you_mean(document, error["loc"]))
    if kind == "missing":
        return document.problem(path, "this key is missing")
    if kind == "union_tag_not_found":
        words = CONDITIONS if len(path) > 2 else STEPS
        what = "no condition" if words is CONDITIONS else "no step"
        return document.problem(path, what, expected=f"one of the keys {', '.join(words)}")
    value = error.get("input")
    plain = not isinstance(value, dict | list | None)
    message = f"{value!r} will not do" if plain else "no value" if value is None else "wrong kind of value"
    return document.problem(path, message, expected=expected(error))


def _path(location: tuple[str | int, ...]) -> Path_:
    """Pydantic's location without the names of the unions' branches."""
    if len(location) < 3 or location[0] != "steps":
        return location
    rest = [str(part) if isinstance(part, str) else part for part in location[3:]]
    if len(rest) > 1 and rest[0] in ("expect", "settle", "absent", "hold") and rest[1] in CONDITIONS:
        del rest[1]
    return (*location[:2], *rest)


def _did_you_mean(document: Document, location: tuple[str | int, ...]) -> str:
    """The keys that are known there."""
    section: Any = Scenario
    if location[0] == "steps":
        inner = next((part for part in location[4:-1] if part in CONDITIONS), None)
        section = CONDITIONS[str(inner)] if inner else STEPS[str(location[2])]
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(str(location[-1]), known, 1, 0.7)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
