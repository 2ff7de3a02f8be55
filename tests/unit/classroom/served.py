"""A class that is served over real sockets, whose commands are a program of the test's own."""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp

from dmvpn_lab.classroom import passwords as passwords_module
from dmvpn_lab.classroom.gate import Gate
from dmvpn_lab.classroom.machine import Machine
from dmvpn_lab.classroom.news import News
from dmvpn_lab.classroom.passwords import Passwords
from dmvpn_lab.classroom.roster import Roster
from dmvpn_lab.classroom.seat import Seat
from dmvpn_lab.classroom.server import Classroom
from dmvpn_lab.workshop import load, shelf
from dmvpn_lab.workshop.load import Loaded

PATIENCE_S = 30.0
WORKSHOP = "01-gre-by-hand"
PEOPLE = Roster.model_validate(
    {"class": "unit", "learners": ["anna", "bob"], "instructors": ["carla"], "at-once": 1}
)
LAB = """
import json, sys, time
words = sys.argv[1:]
print("did", *words, file=sys.stderr, flush=True)
if words[:2] == ["workshop", "check"]:
    print(json.dumps([{"task": each, "done": each == "a", "observed": "b"} for each in "ac"]))
    sys.exit(1)
if words[0] == "shell":
    print("in", words[1], flush=True)
    for line in sys.stdin:
        print("heard", line, end="", flush=True)
if words[0] == "up":
    time.sleep(60)
"""
"""Stands for our commands, which need a machine."""


@dataclass(frozen=True, slots=True)
class Desk(Machine):
    """Not a machine: a program on this host."""

    program: str = LAB

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-c", self.program, *words]


@functools.cache
def workshop() -> Loaded:
    """The one that there is."""
    return load.read(shelf.find(WORKSHOP))


class Served:
    """A server at work."""

    def __init__(self, url: str, room: Classroom, passwords: dict[str, str], seats: dict[str, Seat]) -> None:
        self.url, self.room, self.passwords, self.seats = url, room, passwords, seats
        self.origin = {"Origin": url.rstrip("/")}

    async def log_in(self, name: str) -> aiohttp.ClientSession:
        """A browser that is logged in."""
        session = aiohttp.ClientSession(
            self.url, headers=self.origin, cookie_jar=aiohttp.CookieJar(unsafe=True)
        )
        form = {"name": name, "password": self.passwords[name]}
        async with session.post("/login", data=form) as answer:
            assert answer.status == 200, await answer.text()
        return session

    async def rest(self, name: str) -> None:
        """Nothing is being done for a learner."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                changed = self.seats[name]._news.next
                if self.seats[name].doing is None:
                    return
                await changed.wait()


def serving(
    folder: Path,
    test: Callable[[Served], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
    program: str = LAB,
) -> int:
    """Run a test beside a server whose commands are a program; its exit code."""

    async def inside() -> int:
        passwords, news = Passwords(folder / "passwords.json"), News()
        made = passwords.make(PEOPLE.people)
        workshops = {WORKSHOP: workshop()}
        seats = {}
        for name in PEOPLE.learners:
            (folder / name).mkdir()
            seats[name] = Seat(
                name, Desk(f"class-unit-{name}", folder / name, 1024, program), workshops, news
            )
        room = Classroom(PEOPLE, Gate(PEOPLE, passwords, tls=tls is not None), seats, workshops, news)
        ready = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(room.run("127.0.0.1", 0, tls, ready.set_result))
            async with asyncio.timeout(PATIENCE_S):
                url = await ready
            await test(Served(url, room, made, seats))
            room.end()
        return running.result()

    with mock.patch.object(passwords_module, "COST", 16):  # else each login costs 50 ms and more
        return asyncio.run(inside())


async def told(browser: aiohttp.ClientSession, path: str, wanted: Callable[[Any], bool]) -> Any:
    """The first thing told on a stream that is as wanted."""
    seen = None
    async with asyncio.timeout(PATIENCE_S), browser.get(path) as answer:
        while line := await answer.content.readline():
            if line.startswith(b"data: "):
                seen = json.loads(line[6:])
                if wanted(seen):
                    return seen
    raise AssertionError(seen)


async def post(browser: aiohttp.ClientSession, path: str, **fields: str) -> tuple[int, str]:
    async with browser.post(path, data=fields) as answer:
        return answer.status, await answer.text()


async def started(served: Served, name: str) -> aiohttp.ClientSession:
    """A learner whose workshop runs."""
    browser = await served.log_in(name)
    assert (await post(browser, "/do/start", workshop=WORKSHOP))[0] == 202
    await told(browser, "/state", lambda state: state["terminals"])
    return browser


async def heard(line: aiohttp.ClientWebSocketResponse, wanted: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(PATIENCE_S):
        while wanted not in seen:
            message = await line.receive()
            assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), seen
            seen += message.data if message.type is aiohttp.WSMsgType.BINARY else b""
    return seen
