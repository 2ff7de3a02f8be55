"""The view in a browser: one page, its stream of server-sent events, on this computer only.

The server runs here also where the lab is in the machine, and reads frames as every view does. It
listens on 127.0.0.1. Who asks for another host's name is refused: a page of somebody else whose name
was bound to 127.0.0.1 (DNS rebinding) would be of the same origin as ours. Nothing can be changed
through it, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from dmvpn_lab.errors import EXIT_OK
from dmvpn_lab.serving import serving, signals
from dmvpn_lab.watch import picture, tables
from dmvpn_lab.watch.frame import Frame
from dmvpn_lab.watch.source import Seen, Source
from dmvpn_lab.watch.tables import Cell, Ends, Event, Table

ADDRESS = "127.0.0.1"
PORT = 8790
HOSTS = frozenset({"127.0.0.1", "localhost"})
BACKLOG = 200
"""Messages that a page may be behind; then it is dropped, and begins anew by itself."""
PAGE = Path(__file__).parent / "page"
FILES = {"/": ("index.html", "text/html"), "/watch.js": ("watch.js", "text/javascript"),
         "/watch.css": ("watch.css", "text/css")}  # fmt: skip
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Stream = asyncio.Queue[bytes | None]
"""Messages to one page; None is the end."""


class Browser:
    """Serves the page, and each of its streams from one source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen = Seen()
        self._streams: set[Stream] = set()
        self._end = asyncio.Event()

    def application(self) -> web.Application:
        """What answers requests."""
        application = web.Application(middlewares=[_guarded])
        application.on_response_prepare.append(_with_headers)
        for path, (name, kind) in FILES.items():
            application.router.add_get(path, _file(name, kind))
        application.router.add_get("/events", self._stream)
        return application

    async def run(self, port: int, ready: Callable[[str], None]) -> int:
        """Serve until a signal or the lab's end; the exit code. Raises UsageError for a port in use.

        `ready` is called with the page's address once the first frame is there.
        """
        async with serving(self.application(), ADDRESS, port) as address, asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(address, ready))
            with signals(self.end):
                await self._end.wait()
            reading.cancel()
            self._publish("ended", self._seen.ended or "dmvpn-lab watch has ended")
            for queue in tuple(self._streams):
                self._let_go(queue)
        return self._source.code or EXIT_OK

    def end(self) -> None:
        """Stop serving."""
        self._end.set()

    @property
    def ended(self) -> str | None:
        """Why the lab cannot be followed any more."""
        return self._seen.ended

    async def _read(self, address: str, ready: Callable[[str], None]) -> None:
        told = False
        async with contextlib.aclosing(self._source.lines()) as lines:
            async for line in lines:
                self._seen.take(line)
                if self._seen.ended is not None:
                    break
                if "event" in line:
                    self._publish("told", event_rows([line["event"]]))
                elif "frame" in line:
                    self._publish("frame", document(line["frame"]))
                    if not told:
                        ready(address)
                        told = True
        self.end()

    def _publish(self, name: str, content: Any) -> None:
        """To every page; one that does not keep up is let go."""
        message = encode(name, content)
        for queue in tuple(self._streams):
            if queue.full():
                self._let_go(queue)
            else:
                queue.put_nowait(message)

    def _let_go(self, queue: Stream) -> None:
        """End a stream after what is in its queue, which has room for the end at least."""
        self._streams.discard(queue)
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(None)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """All that is known, then what comes."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        queue: Stream = asyncio.Queue(BACKLOG)
        for known in self._beginning():
            queue.put_nowait(known)
        self._streams.add(queue)
        try:
            await response.prepare(request)
            while (message := await queue.get()) is not None:
                await response.write(message)
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._streams.discard(queue)
        return response

    def _beginning(self) -> Iterator[bytes]:
        yield encode("begin", None)
        if self._seen.frame is not None:
            yield encode("frame", document(self._seen.frame))
        yield encode("told", event_rows(list(self._seen.events)))


def document(frame: Frame) -> dict[str, Any]:
    """What the page draws of a frame."""
    return {
        "lab": frame["lab"],
        "summary": [_cell(each) for each in tables.summary(frame)],
        "picture": picture.svg(frame),
        "tables": [_table(each) for each in tables.tables(frame)],
    }


def event_rows(told: Sequence[Event]) -> list[list[dict[str, Any]]]:
    """The lines of the page's feed, the newest last."""
    return [[_cell(cell) for cell in row] for row in tables.events(told).rows]


def encode(name: str, content: Any) -> bytes:
    """A server-sent event; JSON has no line break of its own."""
    return f"event: {name}\ndata: {json.dumps(content, separators=(',', ':'))}\n\n".encode()


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "columns": [{"title": column.title, "right": column.right} for column in table.columns],
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {"ends": cell.at} if isinstance(cell, Ends) else {"text": cell.text, "tone": cell.tone}


@web.middleware
async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who asks for another host. Its port may be another: a tunnel's, such as ssh makes."""
    if request.host.partition(":")[0].lower() not in HOSTS:
        raise web.HTTPForbidden(text=f"this page is at http://{ADDRESS} only\n")
    return await handler(request)


async def _with_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Of every answer: to the browser, nothing comes from elsewhere, and nothing goes there."""
    response.headers.update(HEADERS)


def _file(name: str, kind: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        text = (PAGE / name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind)

    return answer
