"""Reads a topology file: YAML to plain data, remembering where everything stood."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dmvpn_lab.errors import Problem, TopologyError

SIZE_LIMIT = 1_000_000
"""Octets; a topology of a thousand spokes has 150,000."""
DEPTH_LIMIT = 20
NODE_LIMIT = 200_000
TOO_MUCH = "nested too deep, or too large once its aliases are expanded"
KEYS = "the keys lab, clouds and nodes"
TRUE = frozenset({"true", "yes", "on"})
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,19})")

Path_ = tuple[str | int, ...]
Mark = tuple[int, int]
"""Line and column, 1-based."""


@dataclass(slots=True)
class Document:
    """The data of a file with the place of every key and item."""

    file: str
    data: Any
    marks: dict[Path_, Mark] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """What is wrong already, though the rest can still be looked at: keys that stand twice."""

    def problem(
        self, path: Path_, message: str, *, expected: str | None = None, hint: str | None = None
    ) -> Problem:
        """A Problem at a path; where the path is not in the file, at the nearest above it."""
        known = path
        while known and known not in self.marks:
            known = known[:-1]
        line, column = self.marks.get(known, (1, 1))
        return Problem(self.file, line, column, dotted(path), message, expected, hint)


def dotted(path: Path_) -> str:
    """`nodes.spoke-a.nbma` or `clouds.x.map[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def load(path: Path, keys: str = KEYS) -> Document:
    """Read a file. Raises TopologyError for what is not a YAML mapping; `keys` says of what."""
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise _one(name, 1, 1, f"cannot be read: {error.strerror}") from error
    if len(raw) > SIZE_LIMIT:
        raise _one(name, 1, 1, "too large", f"{SIZE_LIMIT} octets or less")
    return parse(raw, name, keys)


def parse(raw: bytes, name: str, keys: str = KEYS) -> Document:
    """From the octets of a file; `name` is for messages."""
    try:
        node = yaml.compose(raw.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line, column = _place(raw[: error.start].decode("utf-8"))
        raise _one(name, line, column, f"not UTF-8 text: {error.reason}") from error
    except yaml.reader.ReaderError as error:
        line, column = _place(raw.decode("utf-8")[: error.position])
        raise _one(
            name, line, column, f"not YAML: the character {error.character:#04x} is not allowed"
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = error.problem or "it ends too early"
        if said.startswith("but ") and error.context:
            said = f"{error.context}, {said}"
        raise _one(name, line, column, f"not YAML: {said}") from error
    except RecursionError as error:
        raise _one(name, 1, 1, TOO_MUCH) from error
    if not isinstance(node, yaml.MappingNode):
        raise _one(name, 1, 1, "not a mapping", keys)
    reader = _Reader(name)
    data = reader.read(node, (), 0)
    return Document(name, data, reader.marks, tuple(reader.problems))


class _Reader:
    """Turns YAML nodes into data; collects marks and problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.marks: dict[Path_, Mark] = {}
        self.problems: list[Problem] = []
        self._count = 0

    def read(self, node: yaml.Node, path: Path_, depth: int) -> Any:
        """The data of a node."""
        self._count += 1
        mark = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.marks.setdefault(path, mark)
        if depth > DEPTH_LIMIT or self._count > NODE_LIMIT:
            raise _one(self.name, *mark, TOO_MUCH)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path_, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            mark = (key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                raise _one(self.name, *mark, "a key that is not a word")
            name = str(key.value)
            if name in data:
                problem = Problem(self.name, *mark, dotted((*path, name)), "this key stands here twice")
                self.problems.append(problem)
            self.marks[(*path, name)] = mark
            data[name] = self.read(value, (*path, name), depth + 1)
        return data


def _scalar(node: yaml.Node) -> Any:
    """A word, number, truth value or null; what looks like a date or octal stays a word."""
    text = str(node.value)
    if node.tag.endswith(":str"):
        return text
    if node.tag.endswith(":null"):
        return None
    if node.tag.endswith(":bool"):
        return text.lower() in TRUE
    if node.tag.endswith(":int") and DECIMAL.fullmatch(text):
        return int(text)
    return text


def _place(before: str) -> Mark:
    """Line and column of what stands after this text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _one(file: str, line: int, column: int, message: str, expected: str | None = None) -> TopologyError:
    return TopologyError((Problem(file, line, column, "", message, expected),))
