"""The live view in a real (pseudo) terminal, fed by a command that prints recorded lines."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.watch.screen import ENTER, LEAVE
from tests.unit.watch.answers import ZERO, deck

PATIENCE_S = 20.0
VIEW = """
import asyncio, sys
from rich.console import Console
from dmvpn_lab.watch.live import Live
from dmvpn_lab.watch.screen import Screen
from dmvpn_lab.watch.source import Source
sys.exit(asyncio.run(Live(Source(sys.argv[1:]), Screen(Console())).run()))
"""


class Terminal:
    """The other side of a terminal in which the view runs."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        self.process = process
        self.master = master
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.seen = ""

    def until(self, wanted: str) -> None:
        """Read until this was written."""
        end = time.monotonic() + PATIENCE_S
        while wanted not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{wanted!r} was not written, but {self.seen[-500:]!r}"
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"it ended without {wanted!r}: {self.seen[-500:]!r}") from None

    def ended(self) -> int:
        """Its exit code; what it wrote last is read, too."""
        code = self.process.wait(PATIENCE_S)
        while select.select([self.master], [], [], 0)[0]:
            self.seen += os.read(self.master, 65536).decode(errors="replace")
        return code


def line(**content: Any) -> str:
    return json.dumps({"v": 1, **content}) + "\n"


FRAME = line(frame=deck().frame(ZERO))
EVENT = line(event={"v": 1, "at": ZERO, "node": "spoke-a", "event": "tunnel-up", "nbma": "172.16.1.1"})


@contextmanager
def watching(
    tmp_path: Path, lines: str, then: str = "exec sleep 60", columns: int = 100
) -> Iterator[Terminal]:
    recorded = tmp_path / "recorded.jsonl"
    recorded.write_text(lines)
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (30, 100))
    argv = [sys.executable, "-c", VIEW, "sh", "-c", f"echo $$ >{tmp_path}/pid; cat {recorded}; {then}"]
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path(__file__).parents[3])}
    environment.pop("COLUMNS", None)
    environment.pop("LINES", None)
    with subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=environment,
                          preexec_fn=_own_terminal) as process:  # fmt: skip
        try:
            yield Terminal(process, master, slave)
        finally:
            process.kill()
            os.close(slave)
            os.close(master)


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def source_is_gone(tmp_path: Path) -> bool:
    return not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_a_key_ends_it_and_leaves_the_terminal_as_it_was(key: bytes, tmp_path: Path) -> None:
    with watching(tmp_path, FRAME + EVENT) as terminal:
        terminal.until("tunnel-up")
        assert ENTER in terminal.seen
        assert termios.tcgetattr(terminal.slave)[3] != terminal.before[3]  # keys are not echoed
        os.write(terminal.master, key)
        assert terminal.ended() == 0
        assert terminal.seen.endswith(LEAVE)
        assert termios.tcgetattr(terminal.slave) == terminal.before
        assert source_is_gone(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(number: int, tmp_path: Path) -> None:
    with watching(tmp_path, FRAME) as terminal:
        terminal.until("CACHE OF")
        terminal.process.send_signal(number)
        assert terminal.ended() == 0
        assert terminal.seen.endswith(LEAVE)
        assert termios.tcgetattr(terminal.slave) == terminal.before


def test_it_counts_down_by_itself_and_writes_only_what_changed(tmp_path: Path) -> None:
    frame = deck().frame(ZERO)
    frame["tunnels"][0]["expires_at"] = time.time() + 1000
    with watching(tmp_path, line(frame=frame)) as terminal:
        terminal.until("00:16:3")
        drawn = len(terminal.seen)
        terminal.until("00:16:38")
        terminal.until("00:16:37")
        assert "ADJACENCY OF" not in terminal.seen[drawn:]


def test_another_size_of_the_terminal_is_drawn_anew(tmp_path: Path) -> None:
    with watching(tmp_path, FRAME) as terminal:
        terminal.until("dynamic multicast registered")
        terminal.seen = ""
        termios.tcsetwinsize(terminal.slave, (12, 40))
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.until("ADJACENCY OF")
        assert "dynamic multicast" not in terminal.seen


def test_a_lab_that_is_taken_down_ends_it_with_a_word(tmp_path: Path) -> None:
    with watching(tmp_path, FRAME + line(ended="lab ipsec was taken down"), "exit 0") as terminal:
        assert terminal.ended() == 0
        assert terminal.seen.rstrip().endswith("dmvpn-lab: lab ipsec was taken down")
        assert termios.tcgetattr(terminal.slave) == terminal.before


def test_a_source_that_fails_gives_its_exit_code_and_never_takes_the_screen(tmp_path: Path) -> None:
    with watching(tmp_path, "", "echo no lab is running >&2; exit 2") as terminal:
        assert terminal.ended() == 2
        assert "no lab is running" in terminal.seen
        assert ENTER not in terminal.seen
