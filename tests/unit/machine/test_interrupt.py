"""An interrupt meets a command in the machine at any moment: it ends, and says that it was interrupted."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from dmvpn_lab.machine import bundle, wire
from dmvpn_lab.machine.wire import Kind
from tests.unit.machine.test_resident import resident

__all__ = ["resident"]

IMPORTED_SLOWLY = "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"


@contextmanager
def served(resident: ModuleType, tmp_path: Path, text: str) -> Iterator[socket.socket]:
    """A connection whose command, a module of this text, is about to be forked."""
    (tmp_path / "slowly.py").write_text(text)
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    serving = os.fork()
    if serving == 0:
        ours.close()
        resident.forks.leave(resident.command.command, theirs)
    theirs.close()
    ours.settimeout(20)
    hello = {
        "token": "", "clock": time.time(), "entropy": "", "module": "slowly", "argv": ["x"],
        "path": [str(tmp_path)], "cwd": str(tmp_path), "directories": [], "below": None, "outputs": [],
        "env": {}, "tty": False, "winsize": (24, 80), "files": {},
    }  # fmt: skip
    try:
        wire.send_json(ours, Kind.HELLO, hello)
        assert expect(ours, Kind.NEED) == b"[]"
        wire.send_frame(ours, Kind.FILES, bundle.pack([]))
        yield ours
    finally:
        ours.close()
        os.waitpid(serving, 0)


def expect(connection: socket.socket, kind: Kind) -> bytes:
    """The next frame of that kind; whatever else comes is passed over."""
    while (frame := wire.receive_frame(connection)) is not None:
        if frame[0] is kind:
            return frame[1]
    raise AssertionError(f"no {kind.name} came")


@pytest.fixture
def trusting(resident: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A resident that leaves this host's clock and randomness alone."""
    monkeypatch.setattr(resident.command, "boot_token", lambda: "")
    monkeypatch.setattr(resident.command, "catch_up", lambda *_: None)
    return resident


@pytest.mark.parametrize("time_", range(10))
def test_one_that_comes_with_the_fork_ends_the_command(
    trusting: ModuleType, tmp_path: Path, time_: int
) -> None:
    with served(trusting, tmp_path, IMPORTED_SLOWLY) as connection:
        wire.send_json(connection, Kind.SIGNAL, {"number": signal.SIGINT})
        assert json.loads(expect(connection, Kind.EXIT)) == {"code": 130, "signals": 1}


def test_one_in_the_middle_of_an_import_is_no_failure(trusting: ModuleType, tmp_path: Path) -> None:
    with served(trusting, tmp_path, IMPORTED_SLOWLY) as connection:
        assert expect(connection, Kind.STDOUT) == b"importing\n"
        wire.send_json(connection, Kind.SIGNAL, {"number": signal.SIGINT})
        assert json.loads(expect(connection, Kind.EXIT)) == {"code": 130, "signals": 1}


def test_a_client_that_is_gone_before_the_command_has_begun_ends_it(
    trusting: ModuleType, tmp_path: Path
) -> None:
    began = time.monotonic()
    with served(trusting, tmp_path, IMPORTED_SLOWLY):
        pass
    assert time.monotonic() - began < trusting.relay.GRACE_S


def test_one_that_comes_when_the_command_has_ended_was_not_the_commands(resident: ModuleType) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert resident.relay.pass_signal(child, signal.SIGINT) is False
    os.waitpid(child, 0)
