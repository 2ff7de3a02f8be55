"""The engine that is started in the machine: when it is ready, and what is said when it is not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmvpn_lab.container import engine
from dmvpn_lab.errors import HostError


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    """A socket as a daemon makes it early, before it serves."""
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(path))
        made.listen()
        yield path, made


def answer_once(made: socket.socket, words: bytes) -> threading.Thread:
    """Take one connection, say these words, and close it."""

    def serve() -> None:
        connection, _ = made.accept()
        with connection:
            connection.recv(1024)
            if words:
                connection.sendall(words)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_daemon_that_listens_and_ends_before_it_served_does_not_answer(
    listening: tuple[Path, socket.socket],
) -> None:
    path, made = listening
    serving = answer_once(made, b"")
    assert engine._listens(path)
    serving.join()
    serving = answer_once(made, b"")
    assert not engine._answers(path)
    serving.join()


def test_a_daemon_that_serves_answers(listening: tuple[Path, socket.socket]) -> None:
    path, made = listening
    serving = answer_once(made, b"HTTP/1.0 200 OK\r\n\r\nOK")
    assert engine._answers(path)
    serving.join()


def test_where_nothing_listens_nothing_answers(tmp_path: Path) -> None:
    assert not engine._listens(tmp_path / "none")
    assert not engine._answers(tmp_path / "none")


def test_a_daemon_that_ends_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "OWN", tmp_path)
    with pytest.raises(HostError, match=r"ls did not start:\n.*no-such-file"):
        engine._start(["ls", str(tmp_path / "no-such-file")], lambda: False)
