"""A child process is ended together with what it started, and its output is all there."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from pathlib import Path

import pytest

from dmvpn_lab.backends import child

FORKS_AND_WAITS = ["sh", "-c", "sleep 600 & echo $!; wait"]
DEADLINE_S = 10.0


def ends(pid: int) -> bool:
    """Whether a process ends soon: one that is killed does so when its turn comes."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], DEADLINE_S)[0])
    finally:
        os.close(process)


def test_ending_a_child_ends_what_it_started_and_returns() -> None:
    async def run() -> int:
        process = await child.start(FORKS_AND_WAITS)
        assert process.stdout is not None
        grandchild = int(await process.stdout.readline())
        async with asyncio.timeout(DEADLINE_S):
            await child.end(process)
            assert await process.stdout.read() == b""  # nobody holds the pipe any more
        return grandchild

    assert ends(asyncio.run(run()))


def test_a_child_that_has_ended_keeps_its_exit_code() -> None:
    async def run() -> tuple[int | None, bytes]:
        process = await child.start(["sh", "-c", "echo out; exit 7"])
        out, _ = await process.communicate()
        await child.end(process)
        return process.returncode, out

    assert asyncio.run(run()) == (7, b"out\n")


def test_without_being_asked_to_a_child_reads_nothing() -> None:
    async def run() -> bytes:
        process = await child.start(["cat"])
        out, _ = await process.communicate()
        return out

    assert asyncio.run(run()) == b""


def test_who_is_cancelled_while_it_ends_a_child_has_ended_it_all_the_same() -> None:
    async def run() -> int | None:
        process = await child.start(["sleep", "600"])
        ending = asyncio.ensure_future(child.end(process))
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        return process.returncode

    assert asyncio.run(run()) == -signal.SIGKILL


@pytest.mark.parametrize("steps", range(6))
def test_who_is_cancelled_while_it_starts_a_child_leaves_nothing(tmp_path: Path, steps: int) -> None:
    """The child is given time to start something itself, before the loop hears that it has started."""
    told = tmp_path / "pid"
    argv = ["sh", "-c", f"sleep 600 & echo $! > {told}.part; mv {told}.part {told}; wait"]

    async def run() -> None:
        starting = asyncio.ensure_future(child.start(argv))
        for _ in range(steps):
            await asyncio.sleep(0)
        end = time.monotonic() + 1.0
        while not told.exists() and time.monotonic() < end:
            time.sleep(0.01)  # noqa: ASYNC251 - the loop must not go on meanwhile
        async with asyncio.timeout(DEADLINE_S):
            if starting.cancel():
                with pytest.raises(asyncio.CancelledError):
                    await starting
            else:  # it has started before we came to it
                await child.end(starting.result())

    asyncio.run(run())
    if told.exists():
        assert ends(int(told.read_text()))
