"""The interfaces that a routing protocol of ours speaks on: a socket each, while they carry packets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

RETRY_S = 1.0
"""After the kernel refused a socket on an interface that seemed to be there."""


class Socket(Protocol):
    """What an event loop reads from."""

    def fileno(self) -> int:
        """For an event loop."""

    def close(self) -> None:
        """Close it."""


class Watch(Protocol):
    """`linux.interface_watch.InterfaceWatch`, or what a test has instead."""

    def fileno(self) -> int:
        """For an event loop."""

    def close(self) -> None:
        """Stop watching."""

    def usable(self) -> Mapping[str, int]:
        """Name -> index of those that carry packets now."""

    def read(self) -> set[str]:
        """Take the events; those that did not carry packets for a moment."""


S = TypeVar("S", bound=Socket)
Opened = TypeVar("Opened", bound=Socket, covariant=True)


class Speaking(Protocol[Opened]):
    """The protocol, as its interfaces see it."""

    name: str
    """For messages: EIGRP, CDP."""

    def open(self, name: str, index: int) -> Opened | None:
        """A socket on an interface; None where it speaks on none. Raises OSError."""

    def receive(self, name: str) -> None:
        """There are packets at a socket."""

    def came(self, name: str) -> None:
        """An interface carries packets, and has its socket."""

    def went(self, name: str) -> None:
        """It does not any more, or did not for a moment."""

    def settled(self) -> None:
        """All that came and went has been told."""


class Interfaces(Generic[S]):
    """Opens and shuts sockets as interfaces come and go."""

    def __init__(self, watch: Watch, loop: asyncio.AbstractEventLoop, speaking: Speaking[S],
                 log: logging.Logger) -> None:  # fmt: skip
        self._watch = watch
        self._loop = loop
        self._speaking = speaking
        self._log = log
        self._retry: asyncio.TimerHandle | None = None
        self.sockets: dict[str, S] = {}
        self.indexes: dict[str, int] = {}
        """Of all that carry packets, those without a socket too."""

    def begin(self) -> None:
        """Look for the first time, and from now on whenever something changes."""
        self._loop.add_reader(self._watch.fileno(), self._changed)
        self._refresh(set())

    def close(self) -> None:
        """Shut all, and look no more. Nobody is told."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._watch.fileno())
        self._watch.close()
        for name in tuple(self.sockets):
            self._shut(name)

    def _changed(self) -> None:
        self._refresh(self._watch.read())

    def _refresh(self, interrupted: set[str]) -> None:
        usable = self._watch.usable()
        for name, index in tuple(self.indexes.items()):
            if name in interrupted or usable.get(name) != index:
                del self.indexes[name]
                self._shut(name)
                self._speaking.went(name)
        for name, index in usable.items():
            if name not in self.indexes and self._open(name, index):
                self.indexes[name] = index
                self._speaking.came(name)
        self._speaking.settled()

    def _open(self, name: str, index: int) -> bool:
        try:
            opened = self._speaking.open(name, index)
        except OSError as error:  # gone again; or the kernel is short of something
            self._log.error("%s: no %s: %s", name, self._speaking.name, error)
            if self._retry is not None:
                self._retry.cancel()
            self._retry = self._loop.call_later(RETRY_S, self._refresh, set())
            return False
        if opened is not None:
            self.sockets[name] = opened
            self._loop.add_reader(opened.fileno(), self._speaking.receive, name)
        return True

    def _shut(self, name: str) -> None:
        opened = self.sockets.pop(name, None)
        if opened is not None:
            self._loop.remove_reader(opened.fileno())
            opened.close()
