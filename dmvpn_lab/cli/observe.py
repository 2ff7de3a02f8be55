"""`workshop observe` and `workshop running`: what the other commands of workshops ask where labs run.

They import little, because the learner waits for them.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from dmvpn_lab.cli import output
from dmvpn_lab.cli.options import Json
from dmvpn_lab.errors import EXIT_CHECK_FAILED, LabError, UsageError
from dmvpn_lab.running import find
from dmvpn_lab.workshop import shelf
from dmvpn_lab.workshop.observe import TaskSeen
from dmvpn_lab.workshop.observe import observe as look

Name = Annotated[str, typer.Argument(help="A workshop, or its number.", metavar="WORKSHOP")]


def observe(name: Name, json: Json = False) -> None:
    """What `check` sees in the lab, without keeping it."""
    folder = shelf.find(name)
    workshop = shelf.workshop(folder)
    seen = asyncio.run(look(find(shelf.lab(folder)), workshop))
    if json:
        output.print_json([asdict(each) for each in seen])
    else:
        _print(seen)
    raise typer.Exit(0 if all(each.done for each in seen) else EXIT_CHECK_FAILED)


def _print(seen: list[TaskSeen]) -> None:
    for number, each in enumerate(seen, 1):
        sign = Text("done   ", "green") if each.done else Text("not yet", "yellow")
        output.console().print(Text.assemble(sign, f"  {number}. {each.task}\n           {each.observed}"))


def running(name: Name) -> None:
    """Exit code 0 when the lab of a workshop runs, else 1."""
    try:
        find(shelf.lab(shelf.find(name)))
    except (UsageError, LabError):
        raise typer.Exit(EXIT_CHECK_FAILED) from None
