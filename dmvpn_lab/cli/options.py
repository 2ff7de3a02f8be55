"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LabName = Annotated[str | None, typer.Option("--lab", help="Which lab; the only one that runs.")]
NodeName = Annotated[str, typer.Argument(help="A node of the lab.", metavar="NODE")]
