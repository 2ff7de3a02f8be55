"""From a document to the model, or every problem at once, each with its place and a hint."""

from __future__ import annotations

import copy
import difflib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from dmvpn_lab.errors import Problem, TopologyError
from dmvpn_lab.spec import rules, rules_external, rules_ipsec, rules_ipv6, rules_lines, rules_nat
from dmvpn_lab.spec.load import Document, Path_, load
from dmvpn_lab.spec.model import Cloud, Dhcp, External, Ipsec, Lab, Membership, Nat, Node, Routing, StaticMap

EXPECTED = {
    "int_type": "a whole number",
    "string_type": "text; in quotes if it looks like a number",
    "bool_type": "true or false",
    "dict_type": "a mapping of names to settings",
    "model_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "too_short": "one at the least",
}
RULES = (*rules.ALL, *rules_lines.ALL, *rules_ipsec.ALL, *rules_nat.ALL, *rules_external.ALL, *rules_ipv6.ALL)
NAME_RULE = "lower-case letters, digits and hyphens, at most 32, beginning with a letter"


def read(path: Path) -> tuple[Document, Lab]:
    """The model of a topology file. Raises TopologyError with all its problems."""
    document = load(path)
    return document, validate(document)


def validate(document: Document) -> Lab:
    """The model of a document. Raises TopologyError with all its problems.

    The rules need a model. Unknown keys and keys that stand twice do not stand in its way.
    """
    found = list(document.problems)
    lab = None
    try:
        lab = Lab.model_validate(document.data)
    except ValidationError as error:
        errors = [each for each in error.errors() if not _other_branch(document, each)]
        found += [_problem(document, each) for each in errors]
        if all(each["type"] == "extra_forbidden" for each in errors):
            lab = Lab.model_validate(_without(document.data, [_path(each["loc"]) for each in errors]))
    if lab is not None:
        found += [problem for rule in RULES for problem in rule(lab, document)]
    if lab is None or found:
        raise TopologyError(found) from None
    return lab


def _without(data: dict[str, Any], paths: list[Path_]) -> dict[str, Any]:
    """A copy of the data that lacks the keys at these paths."""
    kept: dict[str, Any] = copy.deepcopy(data)
    for path in paths:
        section: Any = kept
        for part in path[:-1]:
            section = section[part]
        section.pop(path[-1], None)
    return kept


def _other_branch(document: Document, error: Any) -> bool:
    """Of the two forms of `nbma`, only complain about the one that was meant."""
    where = error["loc"]
    if not _in_union(where):
        return False
    written = document.data["nodes"][where[1]]["nbma"]
    return bool((where[3] == "Dhcp") != isinstance(written, dict))


def _problem(document: Document, error: Any) -> Problem:
    path = _path(error["loc"])
    kind = error["type"]
    if kind == "extra_forbidden":
        return document.problem(path, "unknown key", hint=_did_you_mean(document, path))
    if kind == "missing":
        return document.problem(path, "this key is missing", expected=_description(path), hint=_choice(path))
    return document.problem(path, _given(document, path, error), expected=expected(error))


def _in_union(location: tuple[str | int, ...]) -> bool:
    """Whether the fourth part of a location is the name of one of the two forms of `nbma`."""
    return len(location) > 3 and location[0] == "nodes" and location[2] == "nbma"


def _path(location: tuple[str | int, ...]) -> Path_:
    """Pydantic's location without the name of a union's branch and the marker of a key."""
    if _in_union(location):
        location = location[:3] + location[4:]
    return location[:-1] if location[-1] == "[key]" else location


def _given(document: Document, path: Path_, error: Any) -> str:
    if "[key]" in error["loc"]:
        return f"{path[-1]!r} is no name"
    value = error.get("input")
    if error["type"] == "too_short":
        return "nothing in it"
    if isinstance(value, dict | list | None):
        return "no value" if value is None else "wrong kind of value"
    return f"{str(value).lower() if isinstance(value, bool) else repr(value)} will not do"


def expected(error: Any) -> str:
    """What would do in the place of what pydantic refused, in words."""
    kind, context = error["type"], error.get("ctx", {})
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
    near = difflib.get_close_matches(str(path[-1]), known, 1, 0.7)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


def _section_at(path: Path_) -> type[BaseModel]:
    match path:
        case ("clouds", _):
            return Cloud
        case ("clouds", _, "routing"):
            return Routing
        case ("clouds", _, "ipsec"):
            return Ipsec
        case ("nats", _):
            return Nat
        case ("nodes", _):
            return Node
        case ("nodes", _, "nbma"):
            return Dhcp
        case ("nodes", _, "external"):
            return External
        case ("nodes", _, "clouds", _):
            return Membership
        case ("nodes", _, "clouds", _, "map", _):
            return StaticMap
        case _:
            return Lab


def _choice(path: Path_) -> str | None:
    """How a key of few words is written."""
    fields = _section_at(path[:-1]).model_fields.values()
    kind = next((field.annotation for field in fields if field.alias == path[-1]), None)
    words = get_args(kind) if get_origin(kind) is Literal else ()
    return " or ".join(f"`{path[-1]}: {word}`" for word in words) or None


def _description(path: Path_) -> str | None:
    """What the schema says of a key."""
    fields = _section_at(path[:-1]).model_fields.values()
    return next((field.description for field in fields if field.alias == path[-1]), None)
