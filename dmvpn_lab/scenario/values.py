"""The small values of a scenario file: durations and commands."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any

from pydantic import BeforeValidator

LONGEST_S = 3600.0
DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>ms|s|min)")
UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0}


def seconds(value: Any) -> float:
    """From `5s`, `500ms` or `2min`. Raises ValueError."""
    found = DURATION.fullmatch(value) if isinstance(value, str) else None
    length_s = float(found["number"]) * UNITS_S[found["unit"]] if found else -1.0
    if not 0 <= length_s <= LONGEST_S:
        raise ValueError("a time, such as 5s, 500ms or 2min; an hour at the most")
    return length_s


def duration(length_s: float) -> str:
    """As `seconds` reads it."""
    return f"{length_s:g}s"


def argv(value: Any) -> tuple[str, ...]:
    """A command from a list of words, or from one text in which quotes hold words together.

    No shell ever sees it. Raises ValueError.
    """
    wanted = "a command: a list of words, or one text"
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError("a command whose quotes are closed") from None
    elif isinstance(value, list | tuple) and all(isinstance(each, str | int) for each in value):
        words = [str(each) for each in value]
    else:
        raise ValueError(wanted)
    if not words:
        raise ValueError(wanted)
    return tuple(words)


Duration = Annotated[float, BeforeValidator(seconds)]
Argv = Annotated[tuple[str, ...], BeforeValidator(argv)]
