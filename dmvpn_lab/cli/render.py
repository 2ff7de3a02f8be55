"""`render`, `adopt`: labs for and of other programs."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dmvpn_lab import controller
from dmvpn_lab.backends.containerlab import read_directory
from dmvpn_lab.cli import output
from dmvpn_lab.container import image as node_image
from dmvpn_lab.errors import UsageError
from dmvpn_lab.render import containerlab
from dmvpn_lab.render.files import files
from dmvpn_lab.spec import plan as planner


class Target(StrEnum):
    """What a lab can be rendered for."""

    containerlab = "containerlab"


def render(
    topology: Annotated[
        str, typer.Argument(help="A topology file, or a bundled one's name.")
    ] = "hub-and-spoke",
    to: Annotated[Target, typer.Option("--to", help="The program that is to run it.")] = Target.containerlab,
    out: Annotated[Path, typer.Option("--output", help="Directory to write.")] = Path("."),
    image: Annotated[str | None, typer.Option(help="Node image; the one of 'dmvpn-lab image build'.")] = None,
) -> None:
    """Write a lab as a directory for containerlab."""
    path = controller.find_topology(topology)
    plan = planner.read(path)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is no directory", hint="name another")
    written = containerlab.directory(plan, files(plan), image or node_image.reference())
    written[containerlab.TOPOLOGY] = path.read_text(encoding="utf-8")
    containerlab.write(out, written)
    deploy = f"containerlab deploy --topo {out / containerlab.topology_file(plan)}"
    output.console().print(f"{out}: {len(written)} files\n  {deploy}\n  dmvpn-lab adopt {out}")


def adopt(
    folder: Annotated[Path, typer.Argument(help="What 'render' has written.", metavar="DIRECTORY")],
) -> None:
    """Take over a lab that 'containerlab deploy' has started: verify, inject, show, down work on it."""
    lab = asyncio.run(controller.adopt(read_directory(folder), folder, output.Progress()))
    output.console().print(f"{lab.plan.lab}: adopted")
