"""A child process is ended together with what it started, and its output is all there."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from dmvpn_lab.backends import child

FORKS_AND_WAITS = ["sh", "-c", "sleep 600 & echo $!; wait"]
DEADLINE_S = 10.0


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and was not collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_ending_a_child_ends_what_it_started_and_returns() -> None:
    async def run() -> int:
        process = await child.start(FORKS_AND_WAITS)
        assert process.stdout is not None
        grandchild = int(await process.stdout.readline())
        async with asyncio.timeout(DEADLINE_S):
            await child.end(process)
            assert await process.stdout.read() == b""  # nobody holds the pipe any more
        return grandchild

    assert not lives(asyncio.run(run()))


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
