"""Commands as documents print them: `$ command` in a console block, with what it writes below."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIES = re.compile(
    r"(?P<ellipsis>…)|(?P<clock>\d\d:\d\d:\d\d(\.\d+)?)|(?P<time>\d+\.\d+ m?s)|(?P<space>\s+)"
)


@dataclass(frozen=True, slots=True)
class Printed:
    """A command and the lines that the document prints below it."""

    command: str
    lines: tuple[str, ...]


def commands(document: Path) -> list[Printed]:
    """Every command of every console block, in order."""
    found: list[Printed] = []
    for block in _BLOCK.findall(document.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").split("\n")
            found.append(Printed(command, tuple(lines)))
    return found


def difference(printed: Printed, output: str) -> str | None:
    """The first printed line that the output lacks, in order; None when it has all.

    A line that is only `…` stands for any lines, also none; `…` within a line for anything. Clock
    times, durations and the width of columns may differ. Nothing may follow the last printed line.
    """
    rest = [line.rstrip() for line in output.splitlines()]
    gap = False
    for line in printed.lines:
        if line.strip() == "…":
            gap = True
            continue
        matches = [index for index, each in enumerate(rest) if _pattern(line).fullmatch(each)]
        if not matches or (matches[0] > 0 and not gap):
            return line
        rest = rest[matches[0] + 1 :]
        gap = False
    return f"(nothing, but it goes on: {rest[0]!r})" if rest and not gap and printed.lines else None


def _pattern(line: str) -> re.Pattern[str]:
    parts, end = [], 0
    text = line.rstrip()
    for varies in _VARIES.finditer(text):
        parts.append(re.escape(text[end : varies.start()]))
        parts.append(
            {
                "ellipsis": ".*",
                "clock": r"\d\d:\d\d:\d\d(\.\d+)?",
                "time": r"\d+(\.\d+)? m?s",
                "space": r"\s+",
            }[str(varies.lastgroup)]
        )
        end = varies.end()
    return re.compile("".join(parts) + re.escape(text[end:]) + r"\s*")
