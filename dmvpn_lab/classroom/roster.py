"""Who is in a class: a YAML file, read or told to be wrong with every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from dmvpn_lab.errors import Problem, TopologyError
from dmvpn_lab.spec import load as yaml_file
from dmvpn_lab.spec.load import Document
from dmvpn_lab.spec.model import Name, Section
from dmvpn_lab.spec.validate import expected

KEYS = "the keys class, learners and instructors"


class Roster(Section):
    """One class."""

    class_: Name = Field(alias="class")
    learners: tuple[Name, ...] = Field(min_length=1)
    instructors: tuple[Name, ...] = Field(min_length=1)
    at_once: int = Field(10, ge=1, le=100, strict=True)
    """Labs that run at the same time."""
    idle_minutes: int = Field(60, ge=1, le=1440, strict=True)
    """A lab that nobody has touched for so long is stopped."""
    memory_mib: int = Field(1024, ge=512, le=16384, strict=True)
    """Of each learner's machine."""

    @property
    def people(self) -> tuple[str, ...]:
        """Who may log in."""
        return (*self.learners, *self.instructors)


def read(path: Path) -> Roster:
    """The roster of a file. Raises TopologyError with all its problems."""
    document = yaml_file.load(path, KEYS)
    found = list(document.problems)
    roster = None
    try:
        roster = Roster.model_validate(document.data)
    except ValidationError as error:
        found += [_problem(document, each) for each in error.errors() if not _has_some(document, each)]
    found += _twice(document)
    if roster is None or found:
        raise TopologyError(found)
    return roster


def _problem(document: Document, error: Any) -> Problem:
    path, kind = error["loc"], error["type"]
    if kind == "extra_forbidden":
        known = ", ".join(field.alias or name for name, field in Roster.model_fields.items())
        return document.problem(path, "unknown key", hint=f"known here: {known}")
    if kind == "missing":
        return document.problem(path, "this key is missing")
    value = error.get("input")
    plain = not isinstance(value, dict | list | None)
    message = f"{value!r} will not do" if plain else "nothing in it" if kind == "too_short" else "wrong kind"
    return document.problem(path, message, expected=expected(error))


def _has_some(document: Document, error: Any) -> bool:
    """Whether a list is said to be too short only because of names in it that will not do."""
    return error["type"] == "too_short" and bool(document.data[error["loc"][0]])


def _twice(document: Document) -> list[Problem]:
    """One name is one person."""
    seen: set[str] = set()
    found = []
    for key in ("learners", "instructors"):
        names = document.data.get(key)
        for place, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str) and name in seen:
                found.append(document.problem((key, place), f"{name!r} stands here twice"))
            seen.add(str(name))
    return found
