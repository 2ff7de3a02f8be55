"""A child process that is ended together with everything that it started.

What enters a node forks once more on the way in, so killing the child alone would leave the
command running in the node, with our pipes in its hands.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence


async def start(argv: Sequence[str], *, stdin: int = DEVNULL) -> Process:
    """Start a command as the leader of a process group of its own, its output in pipes.

    A caller that is cancelled meanwhile leaves nothing. asyncio itself would kill the command alone, and
    wait for the pipes, which what it has started holds open.
    """
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(*argv, stdin=stdin, stdout=PIPE, stderr=PIPE, start_new_session=True)
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await end(await starting)
        raise


async def end(child: Process) -> None:
    """Kill the whole group, and wait until it is gone. Nothing to do when it has ended.

    A caller that is cancelled meanwhile waits, too: what is killed is soon gone.
    """
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    gone = asyncio.ensure_future(child.wait())
    try:
        await asyncio.shield(gone)
    except asyncio.CancelledError:
        await gone
        raise
