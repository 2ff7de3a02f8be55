"""A command that goes on until it is interrupted: its last octets are there when it has ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

IN_A_NODE = """
import os, signal, sys, time
def last(*_):
    time.sleep(0.5)  # what a program does that has much to write
    os.write(1, b"last\\n")
    os._exit(0)
if os.fork():
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.wait()
else:
    signal.signal(signal.SIGINT, last)
    os.write(1, b"first\\n")
    while True:
        signal.pause()
"""
"""As nsenter does it: a child does the work, and an interrupt ends the parent at once."""
COMMAND = """
import sys
from dmvpn_lab.cli import foreground
with open(sys.argv[1], "wb") as out:
    sys.exit(foreground.run([sys.executable, "-c", sys.argv[2]], out))
"""
PATIENCE_S = 30.0


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "written"


@pytest.fixture
def command(written: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One that has begun to write."""
    argv = [sys.executable, "-c", COMMAND, str(written), IN_A_NODE]
    with subprocess.Popen(argv, start_new_session=True) as running:
        end = time.monotonic() + PATIENCE_S
        while not (written.exists() and written.read_bytes()):
            assert time.monotonic() < end, "it never wrote"
            time.sleep(0.02)
        yield running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_of_the_command_alone_waits_for_the_last_octet(
    written: Path, command: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    command.send_signal(number)
    assert command.wait(PATIENCE_S) == 0
    assert written.read_bytes() == b"first\nlast\n"


def test_the_exit_code_of_a_command_that_ends_by_itself_is_its_own(written: Path) -> None:
    argv = [sys.executable, "-c", COMMAND, str(written), "import sys; print('said'); sys.exit(7)"]
    assert subprocess.run(argv, check=False, timeout=PATIENCE_S).returncode == 7
    assert written.read_bytes() == b"said\n"
