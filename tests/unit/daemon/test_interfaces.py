"""Sockets of a routing protocol, opened and shut as interfaces come and go."""

from __future__ import annotations

import asyncio
import logging
import os
import socket

import pytest

from dmvpn_lab.daemon import interfaces
from dmvpn_lab.daemon.interfaces import Interfaces


class Kernel:
    """Interfaces that a test has come and go; a pipe stands for the events."""

    def __init__(self, **present: int) -> None:
        self.present, self.interrupted = present, set[str]()
        self._read, self._write = os.pipe()

    def change(self, *interrupted: str, **present: int) -> None:
        self.present, self.interrupted = present, set(interrupted)
        os.write(self._write, b"x")

    def fileno(self) -> int:
        return self._read

    def usable(self) -> dict[str, int]:
        return self.present

    def read(self) -> set[str]:
        os.read(self._read, 1)
        return self.interrupted

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


class Told:
    """A protocol that keeps what it is told, and has socket pairs for sockets."""

    name = "EIGRP"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.peers: dict[str, socket.socket] = {}
        self.refuse: set[str] = set()
        self._more = asyncio.Event()

    def open(self, name: str, index: int) -> socket.socket | None:
        if name in self.refuse:
            raise OSError(12, "Cannot allocate memory")
        if name == "lan":
            return None
        self.close()
        self.ours, self.peers[name] = socket.socketpair()
        return self.ours

    def receive(self, name: str) -> None:
        self._say(f"packet at {name}: {self.ours.recv(1).decode()}")

    def came(self, name: str) -> None:
        self._say(f"{name} came")

    def went(self, name: str) -> None:
        assert self.peers[name].recv(1) == b""  # its other end is shut by now
        self._say(f"{name} went")

    def settled(self) -> None:
        self._say(".")

    def _say(self, what: str) -> None:
        self.said.append(what)
        self._more.set()

    async def until(self, what: str) -> None:
        """Wait until it has been told that."""
        async with asyncio.timeout(5):
            while what not in self.said:
                self._more.clear()
                await self._more.wait()

    def close(self) -> None:
        for each in self.peers.values():
            each.close()


def speaking(kernel: Kernel, told: Told) -> Interfaces[socket.socket]:
    made = Interfaces(kernel, asyncio.get_running_loop(), told, logging.getLogger("test"))
    made.begin()
    return made


def test_an_interface_that_is_there_has_a_socket_and_its_packets_are_heard_of() -> None:
    async def run() -> None:
        told = Told()
        made = speaking(Kernel(tunnel=7, lan=3), told)
        assert told.said == ["tunnel came", "lan came", "."]
        assert (set(made.sockets), made.indexes) == ({"tunnel"}, {"tunnel": 7, "lan": 3})
        told.peers["tunnel"].send(b"x")
        await told.until("packet at tunnel: x")
        made.close()
        assert told.peers["tunnel"].recv(1) == b""
        told.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("interrupted", "present", "said"),
    [
        ((), {}, ["tunnel went", "."]),
        ((), {"tunnel": 8}, ["tunnel went", "tunnel came", "."]),
        (("tunnel",), {"tunnel": 7}, ["tunnel went", "tunnel came", "."]),
        ((), {"tunnel": 7}, ["."]),
    ],
    ids=["gone", "another of that name", "down for a moment", "something else"],
)
def test_what_an_event_means(interrupted: tuple[str, ...], present: dict[str, int], said: list[str]) -> None:
    async def run() -> None:
        kernel, told = Kernel(tunnel=7), Told()
        made = speaking(kernel, told)
        told.said = []
        kernel.change(*interrupted, **present)
        await told.until(".")
        assert told.said == said
        assert made.indexes == present
        assert set(made.sockets) == set(present)
        made.close()
        told.close()

    asyncio.run(run())


@pytest.mark.parametrize("ended", [False, True])
def test_a_refused_socket_is_tried_again_unless_all_has_ended(
    monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    async def run() -> None:
        told = Told()
        told.refuse = {"tunnel"}
        made = speaking(Kernel(tunnel=7), told)
        assert (told.said, made.indexes) == (["."], {})
        told.refuse = set()
        if ended:
            made.close()
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(0, later.set)  # after the retry, which was set before
        await later.wait()
        assert told.said == (["."] if ended else [".", "tunnel came", "."])
        if not ended:
            made.close()
        told.close()

    monkeypatch.setattr(interfaces, "RETRY_S", 0)
    asyncio.run(run())
