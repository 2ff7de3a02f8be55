"""The control socket: JSON lines over a UNIX stream socket. Shapes: `answers.py`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dmvpn_lab import answers

HISTORY = 1000
"""Events kept for subscribers that ask for what was before."""
QUEUE = 5000
"""Events that a slow subscriber may be behind; then it is dropped."""
LINE_LIMIT = 65536

Query = Callable[[str], Any]
Line = dict[str, Any]


class Control:
    """Answers queries and hands events to subscribers."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._history: deque[Line] = deque(maxlen=HISTORY)
        self._subscribers: set[asyncio.Queue[Line | None]] = set()

    def publish(self, name: str, facts: dict[str, Any]) -> None:
        """Give an event its time and pass it on."""
        event = {"v": answers.VERSION, "event": name, "at": time.time(), **facts}
        self._history.append(event)
        for queue in tuple(self._subscribers):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._subscribers.discard(queue)
                queue.get_nowait()
                queue.put_nowait(None)

    async def serve(self, path: Path) -> asyncio.Server:
        """Listen at `path` (mode 0600); an old socket of a dead agent is replaced."""
        _make_place(path)
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._serve_one, str(path), limit=LINE_LIMIT)
        finally:
            os.umask(before)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            try:
                while line := await _line(reader):
                    answer, subscribe = self._answer(line)
                    writer.write(_encode(answer))
                    await writer.drain()
                    if subscribe is not None:
                        await self._stream(writer, subscribe)
                        return
            finally:
                writer.close()

    def _answer(self, line: bytes) -> tuple[Line, Line | None]:
        """The answer to one request, and the request if it subscribes."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError("a request is a JSON object")
        except ValueError as error:
            return _refusal(None, f"not a request: {error}"), None
        number = request.get("id")
        if request.get("v") != answers.VERSION:
            return _refusal(
                number, f"version {request.get('v')!r}, this agent speaks {answers.VERSION}"
            ), None
        if request.get("subscribe"):
            return _success(number, None), request
        name = request.get("query")
        if name not in answers.QUERIES:
            return _refusal(number, f"unknown query {name!r}; there are {', '.join(answers.QUERIES)}"), None
        return _success(number, self._query(name)), None

    async def _stream(self, writer: asyncio.StreamWriter, request: Line) -> None:
        queue: asyncio.Queue[Line | None] = asyncio.Queue(QUEUE)
        past = tuple(self._history) if request.get("replay") else ()
        self._subscribers.add(queue)
        try:
            for old in past:
                writer.write(_encode(old))
            await writer.drain()
            while (event := await queue.get()) is not None:
                writer.write(_encode(event))
                await writer.drain()
        finally:
            self._subscribers.discard(queue)


def _make_place(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end, or when a line is beyond the limit."""
    try:
        return await reader.readline()
    except ValueError:
        return b""


def _success(number: Any, result: Any) -> Line:
    return {"v": answers.VERSION, "id": number, "ok": True, "result": result}


def _refusal(number: Any, error: str) -> Line:
    return {"v": answers.VERSION, "id": number, "ok": False, "error": error}


def _encode(line: Line) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
