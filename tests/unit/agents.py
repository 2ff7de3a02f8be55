"""Servers in the place of agents, for tests of what asks them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from tests.unit.backends.recorder import Recorder

ACCEPTED = {"v": 1, "id": 1, "ok": True, "result": None}
"""The answer to a subscription."""
Talk = Callable[[StreamReader, StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def served(path: Path, talk: Talk) -> AsyncIterator[None]:
    """A UNIX stream server; at the end no connection of it is left."""
    talking: set[asyncio.Task[None]] = set()

    async def handle(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        try:
            with contextlib.suppress(ConnectionError):
                await talk(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            talking.discard(task)

    server = await asyncio.start_unix_server(handle, str(path))
    try:
        yield
    finally:
        server.close()
        await asyncio.sleep(0)  # a connection that was just accepted has its task now
        while talking:
            await asyncio.wait(talking)


def saying(recorder: Recorder, lines: Mapping[str, tuple[Any, ...]]) -> AbstractAsyncContextManager[None]:
    """Node -> what its agent says to whoever asks, whatever it is asked: JSON, or octets as they are."""

    def talk(said: tuple[Any, ...]) -> Talk:
        async def one(reader: StreamReader, writer: StreamWriter) -> None:
            await reader.readline()
            for line in said:
                writer.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            await writer.drain()

        return one

    return _agents(recorder, {node: talk(said) for node, said in lines.items()})


def remembering(
    recorder: Recorder, events: Mapping[str, tuple[Any, ...]]
) -> AbstractAsyncContextManager[None]:
    """Node -> the past events that its agent tells whoever subscribes. It has an answer to each question."""

    def talk(told: tuple[Any, ...]) -> Talk:
        async def one(reader: StreamReader, writer: StreamWriter) -> None:
            while line := await reader.readline():
                request = json.loads(line)
                said = told if request.get("replay") is True else ()
                for each in ({"v": 1, "id": request["id"], "ok": True, "result": None}, *said):
                    writer.write(json.dumps(each).encode() + b"\n")
                await writer.drain()

        return one

    return _agents(recorder, {node: talk(told) for node, told in events.items()})


def knowing(
    recorder: Recorder, answers: Mapping[str, Mapping[str, Any]]
) -> AbstractAsyncContextManager[None]:
    """Node -> query -> answer. An unknown query is refused, a subscription accepted."""

    def talk(known: Mapping[str, Any]) -> Talk:
        async def one(reader: StreamReader, writer: StreamWriter) -> None:
            while line := await reader.readline():
                request = json.loads(line)
                name = request.get("query")
                answer: dict[str, Any] = {"v": 1, "id": request["id"], "ok": name is None or name in known}
                if answer["ok"]:
                    answer["result"] = known.get(name)
                else:
                    answer["error"] = f"unknown query {name!r}"
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()

        return one

    return _agents(recorder, {node: talk(known) for node, known in answers.items()})


@contextlib.asynccontextmanager
async def _agents(recorder: Recorder, talks: Mapping[str, Talk]) -> AsyncIterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        async with contextlib.AsyncExitStack() as stack:
            for node, talk in talks.items():
                recorder.agents[node] = Path(folder) / node
                await stack.enter_async_context(served(recorder.agents[node], talk))
            yield


@contextlib.contextmanager
def beside(agents: AbstractAsyncContextManager[None]) -> Iterator[None]:
    """Run agents in a thread, for tests of what runs a loop of its own."""
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with agents:
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert started.wait(10)
        yield
    finally:
        stop.set()
        thread.join()
