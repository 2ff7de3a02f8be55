"""A command for a learner: what it prints, how much of it, and how it is interrupted."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from dmvpn_lab.classroom import command
from dmvpn_lab.errors import LabError

CLEANS_UP = """
import sys, time
try:
    print("ready", file=sys.stderr, flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    open("cleaned", "w").close()
"""


def run(code: str, folder: Path) -> tuple[int, str, list[str]]:
    said: list[str] = []
    argv = [sys.executable, "-c", code]
    return *asyncio.run(command.run(argv, os.environ, folder, said.append)), said


def test_lines_of_standard_error_are_said_and_output_is_given_back(tmp_path: Path) -> None:
    code = "import sys; print('out'); sys.stderr.write('one\\ntwo'); sys.exit(3)"
    assert run(code, tmp_path) == (3, "out\n", ["one", "two"])


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_without_end_is_not_taken(stream: str, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="printed too much"):
        run(f"import sys\nwhile True: sys.{stream}.write('x' * 4096)", tmp_path)


def test_who_is_cancelled_interrupts_the_command_and_waits_for_it(tmp_path: Path) -> None:
    async def inside() -> None:
        ready = asyncio.Event()
        argv = [sys.executable, "-c", CLEANS_UP]
        task = asyncio.ensure_future(command.run(argv, os.environ, tmp_path, lambda line: ready.set()))
        async with asyncio.timeout(30):
            await ready.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(inside())
    assert (tmp_path / "cleaned").exists()
