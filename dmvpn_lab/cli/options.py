"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from dmvpn_lab.backends import NAMES
from dmvpn_lab.errors import DmvpnLabError
from dmvpn_lab.running import find


def complete_topology(incomplete: str) -> list[str]:
    """Bundled topologies; files are the shell's own."""
    from dmvpn_lab import controller  # only the shell asks, and it is most of what a command imports

    names = sorted(path.stem for path in controller.bundled_topologies().glob("*.yml"))
    return [name for name in names if name.startswith(incomplete)]


def complete_backend(incomplete: str) -> list[str]:
    """Names of backends."""
    return [name for name in NAMES if name.startswith(incomplete)]


def complete_node(incomplete: str) -> list[str]:
    """Nodes of the only lab that runs on this host; a lab in the machine is not asked."""
    try:
        nodes = find(None).plan.nodes
    except DmvpnLabError:
        return []
    return [node.name for node in nodes if node.name.startswith(incomplete)]


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LabName = Annotated[str | None, typer.Option("--lab", help="Which lab; the only one that runs.")]
NodeName = Annotated[
    str, typer.Argument(help="A node of the lab.", metavar="NODE", autocompletion=complete_node)
]
