"""`logs`, `capture`, `graph`: what programs say, what is on the wire, what the lab looks like."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from dmvpn_lab import controller, graph, logs
from dmvpn_lab.cli import foreground
from dmvpn_lab.cli.options import LabName, NodeName, complete_topology
from dmvpn_lab.errors import UsageError
from dmvpn_lab.files import write_whole
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.plan_types import NodePlan

ANY = "any"


class Picture(StrEnum):
    """What a graph can be written as."""

    mermaid = "mermaid"
    svg = "svg"


def show_logs(
    node: NodeName,
    program: Annotated[str | None, typer.Argument(help="One of the node's programs; all.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    lines: Annotated[int, typer.Option(min=1, help="The last lines of each program.")] = logs.LINES,
    lab: LabName = None,
) -> None:
    """Print what the programs of a node have printed."""
    running = controller.find(lab)
    running.node(node)
    if not follow:
        print(asyncio.run(logs.text(running, node, program, lines)), end="")
        return
    first, argv = asyncio.run(logs.following(running, node, program, lines))
    print(first, end="", flush=True)
    _until_interrupted(running, node, argv, None)


def capture(
    where: Annotated[str, typer.Argument(help="NODE, or NODE:INTERFACE; `any` is all.", metavar="NODE[:IF]")],
    out: Annotated[Path | None, typer.Option("--output", help="A pcap file; standard output.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many packets.")] = None,
    duration: Annotated[int | None, typer.Option("--seconds", min=1, help="End after so long.")] = None,
    lab: LabName = None,
) -> None:
    """Capture packets, to a file or for Wireshark: capture hub:eth1 | wireshark -k -i -"""
    running = controller.find(lab)
    name, _, interface = where.partition(":")
    node = running.node(name)
    if out is None and sys.stdout.isatty():
        raise UsageError("a capture is no text for a terminal", hint="--output FILE, or pipe it to wireshark")
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {out.absolute().parent}", hint="make it, or name another file")
    # In the foreground: in a group of its own an interrupt would not reach it.
    patience = ["timeout", "--foreground", "--preserve-status", "--signal=INT"]
    argv = [*patience, str(duration)] if duration else []
    argv += ["tcpdump", "--immediate-mode", "-n", "-U", "-i", _interface(node, interface), "-w", "-"]
    argv += ["-c", str(count)] if count else []
    raise typer.Exit(_until_interrupted(running, name, argv, out))


def _interface(node: NodePlan, wanted: str) -> str:
    """As named; else the NBMA interface, the only one of a host, or all of the ISP router's."""
    known = [*(i.name for i in node.interfaces), *(t.name for t in node.tunnels)]
    if wanted and wanted not in (*known, ANY, "lo"):
        raise UsageError(f"{node.name} has no interface {wanted!r}", hint=f"there are: {', '.join(known)}")
    return wanted or (ANY if node.kind == "isp" else node.interfaces[0].name)


def _until_interrupted(lab: RunningLab, node: str, argv: Sequence[str], out: Path | None) -> int:
    """Run a command in a node; an interrupt ends it and is no error."""
    with contextlib.ExitStack() as stack:
        target = None if out is None else stack.enter_context(_opened(out))
        return foreground.run(lab.backend.enter_argv(lab.plan.lab, node, argv), target)


def _opened(path: Path) -> BinaryIO:
    """A file to write. Raises UsageError."""
    try:
        return open(path, "wb")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="name another file") from error


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
    """Draw a lab: tunnels over the underlay; of a running lab, whether they are registered."""
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
