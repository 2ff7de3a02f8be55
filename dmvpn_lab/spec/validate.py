"""From a document to the model, or every problem at once, each with its place and a hint."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from dmvpn_lab.errors import Problem, TopologyError
from dmvpn_lab.spec import rules
from dmvpn_lab.spec.load import Document, Path_, load
from dmvpn_lab.spec.model import Cloud, Dhcp, Lab, Membership, Node, Routing, StaticMap

SECTIONS: tuple[type[BaseModel], ...] = (Lab, Cloud, Routing, Node, Membership, StaticMap, Dhcp)
EXPECTED = {
    "int_type": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to settings",
    "model_type": "a mapping of keys to values",
    "tuple_type": "a list",
}
NAME_RULE = "lower-case letters, digits and hyphens, at most 32, beginning with a letter"


def read(path: Path) -> tuple[Document, Lab]:
    """The model of a topology file. Raises TopologyError with all its problems."""
    document = load(path)
    return document, validate(document)


def validate(document: Document) -> Lab:
    """The model of a document. Raises TopologyError with all its problems."""
    try:
        lab = Lab.model_validate(document.data)
    except ValidationError as error:
        found = [_problem(document, each) for each in error.errors() if not _other_branch(document, each)]
        raise TopologyError(_in_order(found)) from None
    problems = [problem for rule in rules.ALL for problem in rule(lab, document)]
    if problems:
        raise TopologyError(_in_order(problems))
    return lab


def _in_order(problems: list[Problem]) -> tuple[Problem, ...]:
    unique = {(p.line, p.column, p.path, p.message): p for p in problems}
    return tuple(sorted(unique.values(), key=lambda p: (p.line, p.column)))


def _other_branch(document: Document, error: Any) -> bool:
    """Of the two forms of `nbma`, only complain about the one that was meant."""
    where = error["loc"]
    if len(where) < 4 or where[0] != "nodes" or where[2] != "nbma":
        return False
    written = document.data["nodes"][where[1]]["nbma"]
    return bool((where[3] == "Dhcp") != isinstance(written, dict))


def _problem(document: Document, error: Any) -> Problem:
    path = _path(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return document.problem(path, "unknown key", hint=_did_you_mean(document, path))
    if kind == "missing":
        return document.problem(path, "this key is missing", expected=_description(str(path[-1])))
    return document.problem(path, _given(document, path, error), expected=_expected(kind, context, error))


def _path(location: tuple[str | int, ...]) -> Path_:
    """Pydantic's location without the names of union branches and key markers."""
    dropped = {"Dhcp", "[key]"}
    return tuple(part for part in location if part not in dropped and "function-plain" not in str(part))


def _given(document: Document, path: Path_, error: Any) -> str:
    if "[key]" in error["loc"]:
        return f"{path[-1]!r} is no name"
    value = error.get("input")
    return "wrong kind of value" if isinstance(value, dict | list) else f"{value!r} will not do"


def _expected(kind: str, context: dict[str, Any], error: Any) -> str:
    if kind in EXPECTED:
        return EXPECTED[kind]
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind == "string_pattern_mismatch":
        return "1 to 8 printable characters, no space" if "!-~" in context["pattern"] else NAME_RULE
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = context.get("ge", context.get("le"))
        return f"{bound} or {'more' if kind.startswith('greater') else 'less'}"
    return str(error["msg"])


def _did_you_mean(document: Document, path: Path_) -> str:
    """The keys that are known there, the nearest first."""
    section = _section_at(path[:-1])
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(str(path[-1]), known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


def _section_at(path: Path_) -> type[BaseModel]:
    match path:
        case ("clouds", _):
            return Cloud
        case ("clouds", _, "routing"):
            return Routing
        case ("nodes", _):
            return Node
        case ("nodes", _, "nbma"):
            return Dhcp
        case ("nodes", _, "clouds", _):
            return Membership
        case ("nodes", _, "clouds", _, "map", _):
            return StaticMap
        case _:
            return Lab


def _description(key: str) -> str | None:
    for section in SECTIONS:
        for name, field in section.model_fields.items():
            if key in (name, field.alias):
                return field.description
    return None
