"""A learner's machine that sends what it should not: its own command ends, the class goes on."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import pytest

from dmvpn_lab.machine import wire
from dmvpn_lab.machine.wire import Kind
from tests.unit.classroom.served import WORKSHOP, Served, post, serving, told

COMMAND = """
import os, sys
from dmvpn_lab.__main__ import run
from dmvpn_lab.machine import client, vm
running = vm.Running(0, 0, {port}, "tcg", "image", "secret")
vm.find = vm.ensure = lambda *_: running
os.geteuid = lambda: 0
sys.exit(run(sys.argv[1:]))
"""
"""Our commands; where the machine would be started is one already."""
HUGE = 256 * 1024 * 1024
HELD_BY_SOCKETS = 16 * 1024 * 1024
"""Octets that the kernel may hold between two ends that do not read."""


class Hostile:
    """A machine that answers each command with one frame."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.poured = 0
        """Octets of bodies that somebody, or the kernel, took."""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # the test has closed the door
            while True:
                connection, _ = self._server.accept()
                with connection, contextlib.suppress(ConnectionError):
                    wire.receive_frame(connection)
                    wire.send_json(connection, Kind.NEED, [])
                    wire.receive_frame(connection)
                    connection.sendall(self._header)
                    while self.poured < HUGE:
                        self.poured += connection.send(bytes(1 << 20))

    def close(self) -> None:
        """The end."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Kind.STDOUT, f"a STDOUT frame of {HUGE} octets; 65536 are the most"),
        (Kind.STDERR, f"a STDERR frame of {HUGE} octets; 65536 are the most"),
        (Kind.EXIT, f"a EXIT frame of {HUGE} octets; 4096 are the most"),
        (Kind.WRITTEN, "a frame of kind WRITTEN, which nobody awaits"),
    ],
)
def test_a_frame_too_large_ends_the_command_that_awaits_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, says: str
) -> None:
    monkeypatch.setenv("DMVPN_LAB_CACHE", str(tmp_path / "cache"))
    with contextlib.closing(Hostile(wire.HEADER.pack(kind.value, HUGE))) as machine:

        async def test(served: Served) -> None:
            anna, carla = await served.log_in("anna"), await served.log_in("carla")
            assert (await post(anna, "/do/start", workshop=WORKSHOP))[0] == 202
            told_to_anna = f"dmvpn-lab: the machine sent what it should not: {says}"
            state = await told(anna, "/state", lambda state: told_to_anna in state["log"])
            state = await told(anna, "/state", lambda state: state["doing"] is None)
            assert state["workshop"] is None
            await told(carla, "/board", lambda board: board["learners"][0]["state"] == "running")
            await anna.close()
            await carla.close()

        assert serving(tmp_path, test, program=COMMAND.format(port=machine.port)) == 0
        assert machine.poured < HELD_BY_SOCKETS
