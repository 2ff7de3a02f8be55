"""`schema`: the JSON Schema of a topology, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmvpn_lab.files import write_whole
from dmvpn_lab.spec.reference import json_schema


def schema(
    out: Annotated[Path | None, typer.Option("--output", help="Write it there; standard output.")] = None,
) -> None:
    """Print the JSON Schema of a topology file."""
    text = json_schema()
    if out is None:
        print(text, end="")
    else:
        write_whole(out, text)
