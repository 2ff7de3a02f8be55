"""One of our commands at work for a learner: its lines as they come, its output, its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dmvpn_lab.errors import LabError

LIMIT = 1 << 20
"""Octets of output that are taken: what a learner's machine says has no other end."""
LINE = 2000
PATIENCE_S = 20.0
"""To clean up after an interrupt."""


async def run(
    argv: Sequence[str], env: Mapping[str, str], folder: Path, say: Callable[[str], None]
) -> tuple[int, str]:
    """Run to the end: exit code and standard output. Each line of standard error is said.

    A caller that is cancelled interrupts the command, and waits for its end. Raises LabError for one
    that prints without end.
    """
    child = await asyncio.create_subprocess_exec(
        *argv, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=dict(env), cwd=folder, start_new_session=True
    )
    try:
        async with asyncio.TaskGroup() as group:
            out = group.create_task(_output(child))
            group.create_task(_lines(child, say))
        return await child.wait(), out.result().decode(errors="replace")
    except BaseExceptionGroup:
        raise LabError(f"{argv[-1]}: it printed too much") from None
    finally:
        await _end(child)
        await _drain(child)


async def _output(child: Process) -> bytes:
    assert child.stdout is not None
    told = bytearray()
    while piece := await child.stdout.read(1 << 16):
        told += piece
        if len(told) > LIMIT:
            raise LabError("too much")
    return bytes(told)


async def _lines(child: Process, say: Callable[[str], None]) -> None:
    assert child.stderr is not None
    rest, total = b"", 0
    while piece := await child.stderr.read(1 << 16):
        total += len(piece)
        if total > LIMIT:
            raise LabError("too much")
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            say(line[:LINE].decode(errors="replace"))
        rest = rest[:LINE]
    if rest:
        say(rest.decode(errors="replace"))


async def _end(child: Process) -> None:
    for number, patience_s in ((signal.SIGINT, PATIENCE_S), (signal.SIGKILL, PATIENCE_S)):
        if child.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await child.wait()


async def _drain(child: Process) -> None:
    """Read to the end what nobody wants, so that the pipes are closed; not for what still holds them."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1.0):
            for stream in (child.stdout, child.stderr):
                while stream is not None and await stream.read(1 << 16):
                    pass
