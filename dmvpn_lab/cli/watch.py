"""`watch`: a lab as it lives, in the terminal, as JSON lines."""

from __future__ import annotations

import asyncio
import json as jsonlib
import os
import sys
import time
from typing import Annotated, Any

import typer

from dmvpn_lab import controller
from dmvpn_lab.cli import output
from dmvpn_lab.cli.options import LabName
from dmvpn_lab.errors import EXIT_OK, LabError, UsageError
from dmvpn_lab.watch import terminal
from dmvpn_lab.watch.feed import GAP_S, Feed
from dmvpn_lab.watch.live import Live
from dmvpn_lab.watch.screen import Screen
from dmvpn_lab.watch.source import Seen, Source, argv

EMULATED_GAP_S = 1.0
"""Between two frames in the machine, whose processor may be emulated."""


def watch(
    lab: Annotated[str | None, typer.Argument(help="The lab; the only one that runs.")] = None,
    named: LabName = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and end.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print frames and events, a JSON object a line.")
    ] = False,
    browser: Annotated[
        bool, typer.Option("--browser", help="Serve a page to a browser on this computer.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Of the page, on 127.0.0.1; 0 takes any. Default: 8790."),
    ] = None,
) -> None:
    """Watch a lab live: tunnels, caches counting down, adjacencies, SAs and events. q quits."""
    if lab is not None and named not in (None, lab):
        raise UsageError(f"{lab} and --lab {named} are two labs", hint="name one")
    if browser and (once or json):
        raise UsageError("--browser shows a lab live", hint="leave out --once and --json")
    if port is not None and not browser:
        raise UsageError("--port is the page's", hint="--browser --port N")
    name = lab or named
    if browser:
        code = _serve(name, port)
    elif json:
        code = _feed(name, once)
    elif once:
        code = asyncio.run(_once(name))
    else:
        if not sys.stdout.isatty():
            raise UsageError(
                "standard output is no terminal", hint="--once prints one frame, --json a stream"
            )
        code = asyncio.run(Live(Source(argv(name)), Screen(output.console())).run())
    raise typer.Exit(code)


def _feed(name: str | None, once: bool) -> int:
    """Print what happens until the lab is gone; a reader that has gone is no error."""
    gap_s = EMULATED_GAP_S if "DMVPN_LAB_INSIDE_MACHINE" in os.environ else GAP_S
    running = controller.find(name)
    try:
        asyncio.run(Feed(running, _print, gap_s=gap_s).run(once=once))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is not flushed there
    return EXIT_OK


def _serve(name: str | None, port: int | None) -> int:
    from dmvpn_lab.watch.browser import PORT, Browser  # the machine has no web server

    page = Browser(Source(argv(name)))
    code = asyncio.run(page.run(PORT if port is None else port, lambda url: print(url, flush=True)))
    if page.ended is not None:
        print(f"dmvpn-lab: {page.ended}", file=sys.stderr)
    return code


def _print(line: dict[str, Any]) -> None:
    print(jsonlib.dumps(line, separators=(",", ":")), flush=True)


async def _once(name: str | None) -> int:
    """One frame, all of it, as wide as the terminal."""
    seen = Seen()
    source = Source([*argv(name), "--once"])
    async for line in source.lines():
        seen.take(line)
    if seen.frame is None:
        if source.code:
            return source.code
        raise LabError(seen.ended or "no frame came")
    console = output.console()
    for line_ in terminal.lines(seen.frame, list(seen.events), time.time(), console.width, None, ""):
        console.print(line_, no_wrap=True, overflow="ignore", crop=False)
    return EXIT_OK
