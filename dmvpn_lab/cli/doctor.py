"""`doctor`: what this host has, and what to do about each lack."""

from __future__ import annotations

from dataclasses import asdict

import typer

from dmvpn_lab import host
from dmvpn_lab.cli import output
from dmvpn_lab.cli.options import Json
from dmvpn_lab.errors import EXIT_HOST


def doctor(json: Json = False) -> None:
    """Tell what this host has for running labs. Exit code 3 when something required is missing."""
    facts, native = host.facts(), host.can_run_labs()
    missing = [fact for fact in facts if fact.required and not fact.ok]
    if json:
        output.print_json({"native": native, "ready": not missing, "facts": [asdict(fact) for fact in facts]})
    else:
        rows = [
            ("yes" if f.ok else "NO" if f.required else "no", f.name, f.detail, "" if f.ok else f.remedy)
            for f in facts
        ]
        output.print_table(("", "what", "found", "what to do"), rows)
        where = "on this kernel" if native else "in the machine, a small VM: this kernel lacks GRE or ESP"
        output.console().print(f"labs run {where}" if not missing else "labs cannot run here yet")
    raise typer.Exit(EXIT_HOST if missing else 0)
