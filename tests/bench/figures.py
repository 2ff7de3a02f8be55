"""What a measurement found, as a table and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from dmvpn_lab import __version__

VERSION = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """One number."""

    group: str
    """The measurement that it belongs to."""
    name: str
    """Unique in its group."""
    value: float | None
    """None: it was not to be had, and `note` says why."""
    unit: str
    at_most: float | None = None
    """The goal, in the same unit."""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.at_most is None:
            return None
        return self.value is not None and self.value <= self.at_most


def say(text: str) -> None:
    """Progress: standard error, at once."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def document(figures: Sequence[Figure], host: dict[str, Any]) -> dict[str, Any]:
    """The JSON document."""
    found = [asdict(figure) | {"met": figure.met} for figure in figures]
    return {"version": VERSION, "dmvpn_lab": __version__, "host": host, "figures": found}


def show(figures: Sequence[Figure]) -> None:
    """The table, on standard output."""
    table = Table(box=None, pad_edge=False)
    for column, justify in (("measurement", "left"), ("figure", "left"), ("value", "right"),
                            ("unit", "left"), ("goal", "right"), ("", "left")):  # fmt: skip
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    group = ""
    for each in figures:
        if group and each.group != group:
            table.add_row()
        table.add_row(each.group if each.group != group else "", each.name, number(each.value), each.unit,
                      "" if each.at_most is None else f"<= {number(each.at_most)}", remark(each))  # fmt: skip
        group = each.group
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def remark(figure: Figure) -> str:
    """Whether the goal is met, and what else there is to say."""
    verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
    return "; ".join(part for part in (verdict, figure.note) if part)


def number(value: float | None) -> str:
    """Three digits that count, and no more."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
