"""A command in a node that goes on until it is interrupted, and is then waited for to its last octet.

What enters a node forks once more on the way in: its end is not the end of the command. A pipe that
nobody writes to tells that: whatever the command has become holds its end.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import BinaryIO

PATIENCE_S = 10.0
"""How long an interrupted command may take to write what it still has."""


def run(argv: Sequence[str], out: BinaryIO | None) -> int:
    """Its exit code; 0 when it was ended by an interrupt, or by SIGTERM, of this process."""
    held_r, held_w = os.pipe()
    try:
        with _interruptible():
            running = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, pass_fds=(held_w,), process_group=0
            )
            os.close(held_w)
            held_w = -1
            try:
                return running.wait()
            except KeyboardInterrupt:
                _end(running, held_r)
                return 0
    finally:
        os.close(held_r)
        if held_w >= 0:
            os.close(held_w)


def _end(running: subprocess.Popen[bytes], held: int) -> None:
    """Interrupt all of it, and wait until all of it has ended; kill what does not."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, number)
        if select.select([held], [], [], PATIENCE_S)[0]:
            break
    running.wait()


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM is an interrupt, too: it may not leave the command behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
