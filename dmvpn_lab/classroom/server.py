"""The server of a class: pages, actions, streams of what there is to tell, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from dmvpn_lab.classroom import lines
from dmvpn_lab.classroom.gate import Gate, with_headers
from dmvpn_lab.classroom.news import News
from dmvpn_lab.classroom.roster import Roster
from dmvpn_lab.classroom.seat import Seat
from dmvpn_lab.errors import EXIT_OK, DmvpnLabError
from dmvpn_lab.serving import serving, signals
from dmvpn_lab.workshop.load import Loaded

PAGE = Path(__file__).parent / "page"
KINDS = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
ALIVE_S = 15.0
"""A stream says something at least so often: a page that has gone is noticed."""
LOOK_S = 20.0
"""How often idle labs are looked for."""
LARGEST = 128 * 1024
"""Octets of a request."""


class Classroom:
    """One class at work."""

    def __init__(
        self,
        roster: Roster,
        gate: Gate,
        seats: Mapping[str, Seat],
        workshops: Mapping[str, Loaded],
        news: News,
    ) -> None:
        self._roster = roster
        self._gate = gate
        self._seats = seats
        self._workshops = workshops
        self._news = news
        self._over = asyncio.Event()
        self._group = asyncio.TaskGroup()

    def application(self) -> web.Application:
        """What answers requests."""
        application = web.Application(middlewares=[self._gate.middleware()], client_max_size=LARGEST)
        application.on_response_prepare.append(with_headers)
        router = application.router
        router.add_get("/", self._home)
        router.add_get("/login", _page("login.html"))
        router.add_post("/login", self._gate.log_in)
        router.add_post("/logout", self._gate.log_out)
        router.add_get("/page/{name:[a-z]+[.](?:js|css)}", _file(PAGE))
        router.add_get("/vendor/{name:[a-z-]+[.](?:mjs|css)}", _file(PAGE / "vendor"))
        router.add_get("/workshops", self._list)
        router.add_get("/topology", self._topology)
        router.add_get("/state", self._state)
        router.add_get("/board", self._board)
        router.add_post("/do/{action:start|check|hint|reset|apply|stop}", self._do)
        router.add_post("/stop/{learner}", self._stop)
        router.add_get("/terminal/{name}", self._terminal)
        router.add_get("/look/{learner}/{name}", self._look)
        return application

    async def run(
        self, address: str, port: int, tls: ssl.SSLContext | None, ready: Callable[[str], None]
    ) -> int:
        """Serve until a signal, then end every lab; the exit code. Raises UsageError and HostError."""
        async with serving(self.application(), address, port, tls) as url:
            await self._end_all()  # what a server that was killed has left
            try:
                async with self._group as group:
                    idle = group.create_task(self._stop_idle())
                    ready(url)
                    with signals(self.end):
                        await self._over.wait()
                    idle.cancel()
                    self._cancel()
            finally:
                self._news.tell()
                await asyncio.shield(self._end_all())
        return EXIT_OK

    def end(self) -> None:
        """Stop serving."""
        self._over.set()
        self._news.tell()

    # --- pages --------------------------------------------------------------------------------------

    async def _home(self, request: web.Request) -> web.StreamResponse:
        instructor = self._gate.person(request) in self._roster.instructors
        return await _page("board.html" if instructor else "learner.html")(request)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(
            [{"name": name, "title": each.workshop.title, "minutes": each.workshop.minutes,
              "repair": each.workshop.broken} for name, each in self._workshops.items()]
        )  # fmt: skip

    async def _topology(self, request: web.Request) -> web.StreamResponse:
        seat = self._seats[self._gate.learner(request)]
        return await _answered(lambda: web.Response(text=seat.topology()))

    # --- streams ------------------------------------------------------------------------------------

    async def _state(self, request: web.Request) -> web.StreamResponse:
        seat = self._seats[self._gate.learner(request)]
        return await self._stream(request, seat.page)

    async def _board(self, request: web.Request) -> web.StreamResponse:
        self._gate.instructor(request)
        return await self._stream(request, self._rows)

    def _rows(self) -> dict[str, Any]:
        rows = [seat.row() for seat in self._seats.values()]
        return {"class": self._roster.class_, "at_once": self._roster.at_once,
                "running": sum(seat.running for seat in self._seats.values()), "learners": rows}  # fmt: skip

    async def _stream(self, request: web.Request, look: Callable[[], Any]) -> web.StreamResponse:
        """What there is to tell, again whenever it has changed, for as long as the session is good."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        told = ""
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            while not self._over.is_set() and self._gate.person(request) is not None:
                changed = self._news.next
                now = json.dumps(look(), separators=(",", ":"))
                await response.write(f"data: {now}\n\n".encode() if now != told else b": alive\n\n")
                told = now
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ALIVE_S):
                        await changed.wait()
        return response

    # --- actions ------------------------------------------------------------------------------------

    async def _do(self, request: web.Request) -> web.StreamResponse:
        seat = self._seats[self._gate.learner(request)]
        form = await request.post()
        action = request.match_info["action"]
        if action == "hint":
            return await _answered(seat.hint)
        if action == "stop":
            return self._begin_stop(seat, "stopped")
        if action == "start":
            work: Coroutine[Any, Any, None] = seat.start(str(form.get("workshop", "")))
        elif action == "apply":
            work = seat.apply(str(form.get("topology", "")).replace("\r\n", "\n"))
        else:
            work = seat.check() if action == "check" else seat.reset()
        return self._begin(seat, work, starts=action == "start")

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        instructor = self._gate.instructor(request)
        return self._begin_stop(self._seat(request), f"stopped by {instructor}")

    def _begin_stop(self, seat: Seat, why: str) -> web.StreamResponse:
        """Of all things this one is not refused: it ends whatever the seat is at."""
        if seat.running:
            self._group.create_task(seat.stop(why))
        return web.Response(status=202)

    def _begin(
        self, seat: Seat, work: Coroutine[Any, Any, None], *, starts: bool = False
    ) -> web.StreamResponse:
        """Let it go on behind the answer. Refused while the seat is at something, or the class is full."""
        full = starts and not seat.running and self._running() >= self._roster.at_once
        if seat.doing is not None or full:
            work.close()
            what = f"not now: {seat.doing}" if seat.doing else f"{self._running()} labs run, as many as may"
            raise web.HTTPConflict(text=f"{what}\n")
        seat.begin(self._group, work, starts=starts)
        return web.Response(status=202)

    def _running(self) -> int:
        return sum(seat.running for seat in self._seats.values())

    # --- terminals ----------------------------------------------------------------------------------

    async def _terminal(self, request: web.Request) -> web.StreamResponse:
        seat = self._seats[self._gate.learner(request)]
        try:
            terminal = await seat.terminal(request.match_info["name"])
        except DmvpnLabError as error:
            raise web.HTTPConflict(text=f"{error}\n") from None
        return await lines.serve(request, terminal, self._allowed(request), seat.typed)

    async def _look(self, request: web.Request) -> web.StreamResponse:
        instructor = self._gate.instructor(request)
        seat, name = self._seat(request), request.match_info["name"]
        try:
            terminal = seat.opened(name)
        except DmvpnLabError as error:
            raise web.HTTPConflict(text=f"{error}\n") from None
        seat.look(name, instructor, begins=True)
        try:
            return await lines.serve(request, terminal, self._allowed(request), None)
        finally:
            seat.look(name, instructor, begins=False)

    def _allowed(self, request: web.Request) -> Callable[[], bool]:
        """Whether the session of a request is still good."""
        return lambda: self._gate.person(request) is not None

    def _seat(self, request: web.Request) -> Seat:
        name = request.match_info["learner"]
        if name not in self._seats:
            raise web.HTTPNotFound(text=f"there is no learner {name!r}\n")
        return self._seats[name]

    # --- limits and the end -------------------------------------------------------------------------

    async def _stop_idle(self) -> None:
        limit_s = self._roster.idle_minutes * 60.0
        while True:
            for seat in self._seats.values():
                if seat.running and seat.doing is None and time.monotonic() - seat.touched > limit_s:
                    why = f"stopped: nothing was done for {self._roster.idle_minutes} minutes"
                    self._begin_stop(seat, why)
            await asyncio.sleep(LOOK_S)

    def _cancel(self) -> None:
        for seat in self._seats.values():
            seat.cancel()

    async def _end_all(self) -> None:
        await asyncio.gather(*(seat.end() for seat in self._seats.values()))


async def _answered(step: Callable[[], web.Response | None]) -> web.Response:
    """A quick step; what the learner cannot do now is told."""
    try:
        return step() or web.Response(status=204)
    except DmvpnLabError as error:
        raise web.HTTPConflict(text=f"{error}\n") from None


def _page(name: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=(PAGE / name).read_text(encoding="utf-8"), content_type="text/html")

    return answer


def _file(folder: Path) -> Handler:
    """A file of a folder; the route's pattern has no slash and no leading dot."""

    async def answer(request: web.Request) -> web.StreamResponse:
        path = folder / request.match_info["name"]
        if not path.is_file():
            raise web.HTTPNotFound
        return web.Response(text=path.read_text(encoding="utf-8"), content_type=KINDS[path.suffix])

    return answer
