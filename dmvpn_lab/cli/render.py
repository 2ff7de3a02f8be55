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
from dmvpn_lab.cli.options import complete_topology
from dmvpn_lab.container import image as node_image
from dmvpn_lab.errors import UsageError
from dmvpn_lab.files import make_folder, write_whole
from dmvpn_lab.render import clabernetes, containerlab
from dmvpn_lab.render.files import files
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.plan_types import Plan

ELSEWHERE = "name another directory"


class Target(StrEnum):
    """What a lab can be rendered for."""

    containerlab = "containerlab"
    clabernetes = "clabernetes"


def render(
    topology: Annotated[
        str,
        typer.Argument(help="A topology file, or a bundled one's name.", autocompletion=complete_topology),
    ] = "hub-and-spoke",
    to: Annotated[Target, typer.Option("--to", help="The program that is to run it.")] = Target.containerlab,
    out: Annotated[
        Path,
        typer.Option("--output", help="Directory to write: a new one, or this lab's of an earlier time."),
    ] = Path("."),
    image: Annotated[str | None, typer.Option(help="Node image; the one of 'dmvpn-lab image build'.")] = None,
) -> None:
    """Write a lab as a directory for containerlab, or as resources for clabernetes on Kubernetes."""
    path = controller.find_topology(topology)
    plan = planner.read(path)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is no directory", hint="name another")
    chosen = image or node_image.reference()
    if to is Target.clabernetes:
        _for_clabernetes(plan, out, chosen, own_image=image is None)
        return
    written = containerlab.directory(plan, files(plan), chosen)
    written[containerlab.TOPOLOGY] = path.read_text(encoding="utf-8")
    containerlab.write(out, written)
    deploy = f"containerlab deploy --topo {out / containerlab.topology_file(plan)}"
    output.console().print(f"{out}: {len(written)} files\n  {deploy}\n  dmvpn-lab adopt {out}")


def _for_clabernetes(plan: Plan, out: Path, image: str, *, own_image: bool) -> None:
    """Write the file, and say what is different there."""
    written = clabernetes.directory(plan, files(plan), image)
    ((name, text),) = written.items()
    write_whole(make_folder(out, hint=ELSEWHERE) / name, text, hint=ELSEWHERE)
    lines = [f"{out / name}: {len(plan.nodes)} nodes", "on Kubernetes:"]
    lines += [f"  - {difference}" for difference in clabernetes.DIFFERENCES]
    if own_image:
        lines.append(f"  - the workers must have {image}, or be told of another with --image")
    lines.append(f"  kubectl apply -f {out / name}")
    output.console().print("\n".join(lines), soft_wrap=True)


def adopt(
    folder: Annotated[Path, typer.Argument(help="What 'render' has written.", metavar="DIRECTORY")],
) -> None:
    """Take over a lab that 'containerlab deploy' has started: verify, inject, show, down work on it."""
    lab = asyncio.run(controller.adopt(read_directory(folder), folder, output.Progress()))
    output.console().print(f"{lab.plan.lab}: adopted")
