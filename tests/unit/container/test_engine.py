"""The engine that is started in the machine: when it is ready, and what is said when it is not."""

from __future__ import annotations

import os
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


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this host's Docker would be."""
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    return tmp_path / "docker.sock"


def test_a_docker_that_is_not_there_or_has_ended_is_told_in_a_line_with_what_to_do(place: Path) -> None:
    with pytest.raises(HostError) as caught:
        engine.connect()
    assert str(caught.value) == f"Docker does not run at unix://{place}: No such file or directory"
    assert "systemctl start docker" in (caught.value.hint or "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(place))
    with pytest.raises(HostError, match=f"^Docker does not run at unix://{place}: Connection refused\n"):
        engine.connect()


@pytest.mark.root
def test_a_docker_that_is_for_root_only_is_told_as_that(place: Path) -> None:
    import docker  # noqa: F401 - who is not root may not read it here

    place.parent.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(HostError) as caught:
            engine.connect()
    finally:
        os.seteuid(0)
    assert str(caught.value) == f"Docker at unix://{place} may not be used: Permission denied"
    assert "sudo" in (caught.value.hint or "")
