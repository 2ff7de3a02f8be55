"""The control socket: JSON lines over a UNIX stream socket. Shapes: `answers.py`.

An asyncio protocol and not streams: an event goes to a subscriber's transport at once, without a
task a client; and what a client does not read is bounded by its transport's buffer.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dmvpn_lab import answers
from dmvpn_lab.errors import HostError

HISTORY = 1000
"""Events kept for subscribers that ask for what was before: `"replay": true`, or how many of them."""
BACKLOG = 4 << 20
"""Octets that a client may leave unread; then it is dropped."""
LINE_LIMIT = 65536
"""Octets of a request."""

Query = Callable[[str], Any]
Line = dict[str, Any]
Event = tuple[str, float, Mapping[str, Any]]
"""Name, time of day, facts."""


class History:
    """The last events. Those that were published together are one entry: a hub tells of many at once."""

    def __init__(self) -> None:
        self._batches: deque[tuple[str, float, Sequence[Mapping[str, Any]]]] = deque()
        self._count = 0

    def add(self, name: str, at: float, facts: Sequence[Mapping[str, Any]]) -> None:
        """Add events of one kind; what is not needed for HISTORY of them goes."""
        self._batches.append((name, at, facts))
        self._count += len(facts)
        while self._count - len(self._batches[0][2]) >= HISTORY:
            self._count -= len(self._batches.popleft()[2])

    def last(self, count: int) -> list[Event]:
        """So many of them, or as many as are kept: HISTORY at the most."""
        events = [(name, at, each) for name, at, facts in self._batches for each in facts]
        return events[-min(count, HISTORY) :] if count > 0 else []


class Control:
    """Answers queries and hands events to subscribers."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._history = History()
        self._clients: set[Client] = set()
        self._server: asyncio.Server | None = None
        self._path = Path()

    async def open(self, path: Path) -> None:
        """Listen at `path` (mode 0600). A dead agent's socket is replaced.

        Raises HostError when an agent answers there, or when the path cannot be made.
        """
        try:
            sock = _listen(path)
        except OSError as error:
            raise HostError(f"control socket {path}: {error.strerror or error}") from error
        self._path = path
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Client(self), sock=sock)

    def close(self) -> None:
        """Stop listening; what subscribers have not got yet is still written, if they read."""
        if self._server is not None:
            self._path.unlink(missing_ok=True)
            self._server.close()
        for client in tuple(self._clients):
            client.close()

    def publish(self, name: str, facts: Mapping[str, Any]) -> None:
        """Give an event its time and pass it on."""
        self.publish_all(name, (facts,))

    def publish_all(self, name: str, facts: Sequence[Mapping[str, Any]]) -> None:
        """The same for events of one kind, each with its facts."""
        at = time.time()
        self._history.add(name, at, facts)
        subscribers = [client for client in self._clients if client.subscribed]
        if not subscribers:
            return  # nobody pays for the encoding
        for each in facts:
            line = _encode(_told((name, at, each)))
            for client in subscribers:
                client.write(line)

    def add(self, client: Client) -> None:
        """A client has connected."""
        self._clients.add(client)

    def remove(self, client: Client) -> None:
        """A client is gone."""
        self._clients.discard(client)

    def answer(self, request: Line) -> tuple[Line, list[Line] | None]:
        """The answer to a request; for one that subscribes, also the past events it asked for."""
        number = request.get("id")
        if request.get("v") != answers.VERSION:
            theirs = request.get("v")
            return refusal(number, f"version {theirs!r}, this agent speaks {answers.VERSION}"), None
        if request.get("subscribe") is True:
            return _success(number, None), self._past(request.get("replay"))
        name = request.get("query")
        if name not in (*answers.QUERIES, *answers.COMMANDS):
            return refusal(number, f"unknown query {name!r}; there are {', '.join(answers.QUERIES)}"), None
        return _success(number, self._query(name)), None

    def _past(self, wanted: object) -> list[Line]:
        """All events that are kept, the last ones, or none."""
        if isinstance(wanted, bool) or not isinstance(wanted, int):
            wanted = HISTORY if wanted is True else 0
        return [_told(event) for event in self._history.last(wanted)]


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self.subscribed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._control.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._control.remove(self)

    def data_received(self, data: bytes) -> None:
        """Answer each whole line; a line beyond the limit ends the connection."""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._request(line)
        if len(self._received) > LINE_LIMIT:
            self.write(_encode(refusal(None, f"a request has {LINE_LIMIT} octets at most")))
            self.close()

    def write(self, line: bytes) -> None:
        """Send a line; drop a client that does not read."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(line)
        if transport.get_write_buffer_size() > BACKLOG:
            self._control.remove(self)
            transport.abort()

    def close(self) -> None:
        """Close after what is written."""
        if self._transport is not None:
            self._transport.close()

    def _request(self, line: bytes) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            self.write(_encode(refusal(None, "a request is one line of JSON")))
            return
        if not isinstance(request, dict):
            self.write(_encode(refusal(None, "a request is a JSON object")))
            return
        answer, past = self._control.answer(request)
        self.write(_encode(answer))
        if past is not None:
            for event in past:
                self.write(_encode(event))
            self.subscribed = True


def _told(event: Event) -> Line:
    name, at, facts = event
    return {"v": answers.VERSION, "event": name, "at": at, **facts}


def refusal(number: Any, error: str) -> Line:
    """The answer `ok: false`."""
    return {"v": answers.VERSION, "id": number, "ok": False, "error": error}


def _success(number: Any, result: Any) -> Line:
    return {"v": answers.VERSION, "id": number, "ok": True, "result": result}


def _encode(line: Line) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _listen(path: Path) -> socket.socket:
    """A listening socket of mode 0600. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        _remove_stale(path)
        os.fchmod(sock.fileno(), 0o600)  # bind makes the file with the socket's mode
        sock.bind(str(path))
        sock.listen(64)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path) -> None:
    """Remove the socket of an agent that is gone. Raises OSError when one answers there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise OSError("another agent answers there")
