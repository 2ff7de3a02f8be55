"""`schema`: the JSON Schema of a topology, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmvpn_lab.errors import UsageError
from dmvpn_lab.spec.reference import json_schema


def schema(
    out: Annotated[Path | None, typer.Option("--output", help="Write it there; standard output.")] = None,
) -> None:
    """Print the JSON Schema of a topology file."""
    text = json_schema()
    if out is None:
        print(text, end="")
    else:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {out}: {error.strerror}", hint="name another file") from error
