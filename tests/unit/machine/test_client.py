"""The thin client, against a resident that plays its part over a real socket."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.machine import client, wire
from dmvpn_lab.machine.wire import Kind

CLIENT = """
import sys
from dmvpn_lab.errors import DmvpnLabError
from dmvpn_lab.machine import client
module = sys.argv[2] or None
try:
    sys.exit(client.run(int(sys.argv[1]), "secret", module, sys.argv[3:]))
except DmvpnLabError as error:
    sys.exit(f"{error.exit_code} {error}")
"""


class Resident:
    """The other end of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def expect(self, kind: Kind) -> bytes:
        """The next frame, which must be of this kind."""
        frame = wire.receive_frame(self.connection)
        assert frame is not None
        assert frame[0] is kind
        return frame[1]

    def greet(self, *wanted: str) -> dict[str, Any]:
        """Take the greeting, ask for files; the greeting, with the files that came."""
        hello: dict[str, Any] = json.loads(self.expect(Kind.HELLO))
        wire.send_json(self.connection, Kind.NEED, list(wanted))
        with tarfile.open(fileobj=io.BytesIO(self.expect(Kind.FILES))) as archive:
            hello["came"] = [f"/{name}" for name in archive.getnames()]
        return hello

    def say(self, kind: Kind, body: bytes) -> None:
        """Send a frame."""
        wire.send_frame(self.connection, kind, body)

    def exit(self, code: int, signals: int = 0) -> None:
        """The command has ended, and has got so many signals."""
        wire.send_json(self.connection, Kind.EXIT, {"code": code, "signals": signals})


@contextmanager
def running(
    cwd: Path, *argv: str, module: str = "dmvpn_lab"
) -> Iterator[tuple[Resident, subprocess.Popen[bytes]]]:
    """A client process that has connected."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        command = [sys.executable, "-c", CLIENT, str(server.getsockname()[1]), module, *argv]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd) as process:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                yield Resident(connection), process


@pytest.mark.parametrize(("module", "asked"), [("dmvpn_lab", False), ("", True)])
def test_only_a_program_gives_back_what_it_left_in_the_working_folder(
    tmp_path: Path, module: str, asked: bool
) -> None:
    with running(tmp_path, "down", module=module) as (resident, process):
        assert resident.greet()["below"] == (str(tmp_path) if asked else None)
        resident.exit(0)
        assert process.wait(20) == 0


def test_a_program_in_a_folder_of_the_system_gives_back_nothing() -> None:
    with running(Path("/"), "true", module="") as (resident, process):
        assert resident.greet()["below"] is None
        resident.exit(0)
        assert process.wait(20) == 0


def test_a_command_crosses_with_all_that_it_needs(tmp_path: Path) -> None:
    (tmp_path / "lab.yml").write_text("lab: x")
    with running(tmp_path, "up", "lab.yml", "--junit", "r.xml") as (resident, process):
        hello = resident.greet(str(tmp_path / "lab.yml"), "/etc/shadow")
        resident.say(Kind.STDOUT, b"out\n")
        resident.say(Kind.STDERR, b"err\n")
        resident.exit(7)
        out, err = process.communicate(timeout=20)
    assert (out, err, process.returncode) == (b"out\n", b"err\n", 7)
    assert (hello["token"], hello["module"], hello["cwd"]) == ("secret", "dmvpn_lab", str(tmp_path))
    assert hello["argv"] == ["up", "lab.yml", "--junit", "r.xml"]
    assert str(tmp_path / "r.xml") in hello["outputs"]
    assert str(tmp_path) in hello["directories"]
    assert hello["came"] == [str(tmp_path / "lab.yml")], "and no file that was not offered"
    assert len(bytes.fromhex(hello["entropy"])) == 64
    assert hello["tty"] is False


def test_what_is_typed_goes_in_and_its_end_too(tmp_path: Path) -> None:
    with running(tmp_path, "exec", "hub", "--", "cat") as (resident, process):
        resident.greet()
        assert process.stdin is not None
        process.stdin.write(b"hello\n")
        process.stdin.close()
        typed = b""
        while body := resident.expect(Kind.STDIN):
            typed += body
        assert typed == b"hello\n"
        resident.exit(0)
        assert process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_the_commands(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "events", "--follow") as (resident, process):
        resident.greet()
        resident.say(Kind.STDOUT, b"ready\n")
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert json.loads(resident.expect(Kind.SIGNAL)) == {"number": number}
        assert process.poll() is None, "the command decides what it does"
        resident.exit(7, signals=1)
        assert process.wait(20) == 7


def test_a_signal_that_the_command_did_not_get_any_more_is_the_clients(tmp_path: Path) -> None:
    with running(tmp_path, "events", "--follow") as (resident, process):
        resident.greet()
        resident.say(Kind.STDOUT, b"ready\n")
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        resident.expect(Kind.SIGNAL)
        resident.exit(0)
        assert process.wait(20) == -signal.SIGTERM


def test_a_command_whose_output_nobody_reads_is_told_to_end(tmp_path: Path) -> None:
    with running(tmp_path, "events", "--follow") as (resident, process):
        resident.greet()
        assert process.stdout is not None
        process.stdout.close()
        resident.say(Kind.STDOUT, b"news\n")
        assert json.loads(resident.expect(Kind.SIGNAL)) == {"number": signal.SIGTERM}
        resident.exit(143)
        assert process.wait(20) == 143


def test_only_what_was_asked_for_is_written_here(tmp_path: Path) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name in ("r.xml", "other.xml"):
            member = tarfile.TarInfo(str(tmp_path / name))
            member.size = 4
            archive.addfile(member, io.BytesIO(b"data"))
    with running(tmp_path, "verify", "--junit", "r.xml") as (resident, process):
        resident.greet()
        resident.say(Kind.WRITTEN, written.getvalue())
        resident.exit(0)
        assert process.wait(20) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["r.xml"]


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_machine_that_goes_away_is_an_error_of_the_host(tmp_path: Path, when: str) -> None:
    with running(tmp_path, "verify") as (resident, process):
        resident.greet()
        if when == "within":
            resident.connection.sendall(wire.encode_frame(Kind.STDOUT, b"whole")[:-2])
        resident.connection.shutdown(socket.SHUT_RDWR)
        _, err = process.communicate(timeout=20)
    assert err.startswith(b"3 the machine went away: ")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"code": "0", "signals": 0}', b"[" * 4000])
def test_an_end_that_is_none_is_told(tmp_path: Path, body: bytes) -> None:
    with running(tmp_path, "verify") as (resident, process):
        resident.greet()
        resident.say(Kind.EXIT, body)
        _, err = process.communicate(timeout=20)
    assert err.startswith(b"3 the machine sent what it should not: ")


@pytest.mark.parametrize("wanted", [b"{}", b"7", b"x" * (1 << 24)])
def test_a_wish_for_files_that_is_none_is_told(tmp_path: Path, wanted: bytes) -> None:
    with running(tmp_path, "verify") as (resident, process):
        resident.expect(Kind.HELLO)
        resident.connection.sendall(wire.HEADER.pack(Kind.NEED.value, len(wanted)) + wanted[:100])
        _, err = process.communicate(timeout=20)
    assert err.startswith(b"3 the machine sent what it should not: ")


def test_what_comes_back_and_is_no_archive_is_told(tmp_path: Path) -> None:
    with running(tmp_path, "verify", "--junit", "r.xml") as (resident, process):
        resident.greet()
        resident.say(Kind.WRITTEN, b"x" * 1024)
        _, err = process.communicate(timeout=20)
    assert err.startswith(b"3 the machine sent what it should not: no archive: ")


def test_a_resident_that_refuses_is_an_error_of_the_host(tmp_path: Path) -> None:
    with running(tmp_path, "verify") as (resident, process):
        resident.expect(Kind.HELLO)
        resident.connection.shutdown(socket.SHUT_RDWR)
        _, err = process.communicate(timeout=20)
    assert err.strip() == b"3 the machine does not answer"


def test_nobody_at_the_port_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert client.ping(port, "secret", 0.1) is False, "a port that says nothing"
    assert client.ping(port, "secret", 0.1) is False, "a port that is closed"
