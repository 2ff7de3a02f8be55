"""`logs`: what the programs of a node have printed, and print."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from dmvpn_lab import controller
from dmvpn_lab import logs as printed
from dmvpn_lab.cli import foreground
from dmvpn_lab.cli.options import LabName, NodeName


def logs(
    node: NodeName,
    program: Annotated[str | None, typer.Argument(help="One of the node's programs; all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    lines: Annotated[int, typer.Option(min=1, help="The last lines of each program.")] = printed.LINES,
    lab: LabName = None,
) -> None:
    """Print what the programs of a node have printed."""
    running = controller.find(lab)
    running.node(node)
    if not follow:
        print(asyncio.run(printed.text(running, node, program, lines)), end="")
        return
    first, argv = asyncio.run(printed.following(running, node, program, lines))
    print(first, end="", flush=True)
    foreground.run(running.backend.enter_argv(running.plan.lab, node, argv), None)
