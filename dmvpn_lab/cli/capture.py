"""`capture`: what is on a wire, into a file or to Wireshark."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from dmvpn_lab import controller
from dmvpn_lab.cli import foreground
from dmvpn_lab.cli.options import LabName
from dmvpn_lab.errors import UsageError
from dmvpn_lab.spec.plan_types import NodePlan

ANY = "any"


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
    with contextlib.ExitStack() as stack:
        target = None if out is None else stack.enter_context(_opened(out))
        entered = running.backend.enter_argv(running.plan.lab, name, argv)
        raise typer.Exit(foreground.run(entered, target))


def _interface(node: NodePlan, wanted: str) -> str:
    """As named; else the NBMA interface, the only one of a host, or all of the ISP router's."""
    known = [*(i.name for i in node.interfaces), *(t.name for t in node.tunnels)]
    if wanted and wanted not in (*known, ANY, "lo"):
        raise UsageError(f"{node.name} has no interface {wanted!r}", hint=f"there are: {', '.join(known)}")
    return wanted or (ANY if node.kind == "isp" else node.interfaces[0].name)


def _opened(path: Path) -> BinaryIO:
    """A file to write. Raises UsageError."""
    try:
        return open(path, "wb")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="name another file") from error
