"""`exec` and `shell`: a command in a node."""

from __future__ import annotations

import subprocess
from typing import Annotated

import typer

from dmvpn_lab import controller
from dmvpn_lab.cli.options import LabName, NodeName


def exec_(
    node: NodeName,
    command: Annotated[list[str], typer.Argument(help="The command, after --.", metavar="-- COMMAND")],
    lab: LabName = None,
) -> None:
    """Run a command in a node; its exit code is the command's."""
    raise typer.Exit(_inside(lab, node, command))


def shell(node: NodeName, lab: LabName = None) -> None:
    """A shell in a node."""
    raise typer.Exit(_inside(lab, node, ["bash", "--login"]))


def _inside(name: str | None, node: str, command: list[str]) -> int:
    lab = controller.find(name)
    lab.node(node)
    done = subprocess.run(lab.backend.enter_argv(lab.plan.lab, node, command), check=False)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
