"""`graph`: what a lab looks like."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dmvpn_lab import controller, graph
from dmvpn_lab.cli.options import LabName, complete_topology
from dmvpn_lab.files import write_whole
from dmvpn_lab.spec import plan as planner


class Picture(StrEnum):
    """What a graph can be written as."""

    mermaid = "mermaid"
    svg = "svg"


def draw(
    topology: Annotated[
        str | None,
        typer.Argument(
            help="A topology file, or a bundled one's name; the running lab.",
            autocompletion=complete_topology,
        ),
    ] = None,
    form: Annotated[Picture, typer.Option("--format", help="What to write.")] = Picture.mermaid,
    out: Annotated[Path | None, typer.Option("--output", help="A file; standard output.")] = None,
    lab: LabName = None,
) -> None:
    """Draw a lab: tunnels over the underlay; of a running lab those that it has, also between spokes."""
    if topology is not None:
        plan = planner.read(controller.find_topology(topology))
        tunnels = graph.planned(plan)
    else:
        running = controller.find(lab)
        plan, tunnels = running.plan, asyncio.run(graph.observed(running))
    text = graph.svg(plan, tunnels) if form is Picture.svg else graph.mermaid(plan, tunnels)
    if out is None:
        print(text, end="")
    else:
        write_whole(out, text)
