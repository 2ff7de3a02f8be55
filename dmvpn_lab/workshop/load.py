"""Reads workshops, or tells every problem of one at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from dmvpn_lab.errors import TopologyError, UsageError
from dmvpn_lab.scenario import rules
from dmvpn_lab.scenario.model import CONDITIONS
from dmvpn_lab.spec import load as yaml_file
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.load import Document, Path_
from dmvpn_lab.spec.plan_types import Plan
from dmvpn_lab.spec.validate import expected
from dmvpn_lab.workshop.model import Edit, Workshop
from dmvpn_lab.workshop.shelf import KEYS


@dataclass(frozen=True, slots=True)
class Loaded:
    """A workshop that fits its topology."""

    name: str
    """Of its folder: `21-no-multicast`."""
    folder: Path
    workshop: Workshop
    plan: Plan

    @property
    def topology(self) -> str:
        """The text of the topology that a learner starts with."""
        return (self.folder / "topology.yml").read_text()

    def solved(self) -> str:
        """The topology with all the edits of the solution. Raises UsageError."""
        text = self.topology
        for step in self.workshop.solution:
            if isinstance(step, Edit):
                if step.replace not in text:
                    raise UsageError(f"{self.name}: the topology has no {step.replace!r}")
                text = text.replace(step.replace, step.by)
        return text


def read(folder: Path) -> Loaded:
    """A workshop. Raises TopologyError with all the problems of its files."""
    document = yaml_file.load(folder / "lab.yml", KEYS)
    plan = planner.read(folder / "topology.yml")
    workshop = _workshop(document)
    found = [*document.problems]
    for number, task in enumerate(workshop.tasks):
        for word, conditions in (("done", task.done), ("absent", task.absent)):
            for place, condition in enumerate(conditions):
                path: Path_ = ("tasks", number, word, place)
                found += [document.problem(at, message, hint=hint)
                          for at, message, hint in rules.condition(condition, plan, path)]  # fmt: skip
    if found:
        raise TopologyError(found)
    return Loaded(folder.name, folder, workshop, plan)


def _workshop(document: Document) -> Workshop:
    try:
        return Workshop.model_validate(document.data)
    except ValidationError as error:
        found = list(document.problems)
        for each in error.errors():
            path = tuple(part for part in each["loc"] if part not in (*CONDITIONS, "Edit", "str"))
            kind = each["type"]
            if kind == "extra_forbidden":
                found.append(document.problem(each["loc"], "unknown key"))
            elif kind == "missing":
                found.append(document.problem((*path[:-1], each["loc"][-1]), "this key is missing"))
            elif kind == "union_tag_not_found":
                wanted = f"one of the keys {', '.join(CONDITIONS)}"
                found.append(document.problem(path, "no condition", expected=wanted))
            else:
                found.append(document.problem(path, "this will not do", expected=expected(each)))
    raise TopologyError(found)
