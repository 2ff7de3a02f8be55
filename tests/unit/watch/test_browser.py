"""The page's server over real sockets: who is refused, what a page is told, and how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dmvpn_lab.errors import UsageError
from dmvpn_lab.watch import browser
from dmvpn_lab.watch.browser import PAGE, Browser
from dmvpn_lab.watch.source import Source
from tests.unit.watch.answers import ZERO, deck

PATIENCE_S = 20.0
UP = {"v": 1, "at": ZERO, "node": "spoke-a", "event": "tunnel-up", "nbma": "172.16.1.1"}
FRAME = deck().frame(ZERO)


class Served:
    """A server at work, and the other end of the pipe that it reads."""

    def __init__(self, address: str, page: Browser, session: aiohttp.ClientSession, pipe: Path) -> None:
        self.address = address
        self.page = page
        self.session = session
        self.pipe = pipe

    def say(self, **content: Any) -> None:
        with self.pipe.open("a") as pipe:
            pipe.write(json.dumps({"v": 1, **content}) + "\n")

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Callable[[], Awaitable[tuple[str, Any]]]]:
        """What a page hears, message by message."""
        async with self.session.get(f"{self.address}events") as response:
            assert response.content_type == "text/event-stream"

            async def message() -> tuple[str, Any]:
                async with asyncio.timeout(PATIENCE_S):
                    name, data, blank = [(await response.content.readline()).decode() for _ in range(3)]
                assert blank == "\n"
                return name.removeprefix("event: ").strip(), json.loads(data.removeprefix("data: "))

            yield message


def serving(tmp_path: Path, test: Callable[[Served], Awaitable[None]]) -> int:
    """Run a test beside a server that has its first frame; the server's exit code."""
    pipe = tmp_path / "lines"
    pipe.write_text(json.dumps({"v": 1, "event": UP}) + "\n" + json.dumps({"v": 1, "frame": FRAME}) + "\n")
    source = Source(["tail", "-n", "+1", "-f", str(pipe)])

    async def inside() -> int:
        page, ready = Browser(source), asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as session:
            running = group.create_task(page.run(0, ready.set_result))
            async with asyncio.timeout(PATIENCE_S):
                address = await ready
            await test(Served(address, page, session, pipe))
            page.end()
        return running.result()

    return asyncio.run(inside())


def test_the_page_and_its_parts_are_there_and_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        for path, kind in (("", "text/html"), ("watch.js", "text/javascript"), ("watch.css", "text/css")):
            async with served.session.get(served.address + path) as response:
                assert (response.status, response.content_type) == (200, kind)
                text = await response.text()
                assert response.headers["Content-Security-Policy"].startswith(
                    "default-src 'none'; script-src 'self'"
                )
                assert "unsafe" not in response.headers["Content-Security-Policy"]
                assert not re.findall(r"(?:https?:)?//[a-z]", text.replace("http://www.w3.org/2000/svg", ""))

    serving(tmp_path, test)


def test_no_part_of_the_page_has_an_inline_style_or_script() -> None:
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"<style|style=|\son[a-z]+=|<script(?![^>]*src=)", text)


@pytest.mark.parametrize("path", ["", "watch.js", "events", "nothing"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8790", "127.0.0.1.evil.example", "[::1]:80", ""]
)
def test_who_asks_for_another_host_is_refused(host: str, path: str, tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with served.session.get(served.address + path, headers={"Host": host}) as response:
            assert response.status == 403
            assert "hub" not in await response.text()
            assert "Content-Security-Policy" in response.headers

    serving(tmp_path, test)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8790", "127.0.0.1:1234"])
def test_this_computer_is_asked_for_by_its_names_and_through_a_tunnels_port(
    host: str, tmp_path: Path
) -> None:
    async def test(served: Served) -> None:
        async with served.session.get(served.address, headers={"Host": host}) as response:
            assert response.status == 200

    serving(tmp_path, test)


def listening(port: int) -> list[str]:
    """The addresses at which a port of this host listens, as the kernel writes them."""
    tables = [Path(f"/proc/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    places = [row[1].split(":") for row in rows if row[3] == "0A"]
    return [address for address, number in places if int(number, 16) == port]


def test_it_listens_on_this_computer_only(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        port = int(served.address.rpartition(":")[2].strip("/"))
        assert await asyncio.to_thread(listening, port) == ["0100007F"]

    serving(tmp_path, test)


def test_a_page_hears_all_that_is_known_and_then_what_comes(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with served.stream() as first, served.stream() as second:
            for message in (first, second):
                assert await message() == ("begin", None)
                name, frame = await message()
                assert (name, frame["lab"]) == ("frame", "ipsec")
                assert frame["summary"][1] == {"text": "2/2 registered", "tone": "good"}
                assert "tunnel-dmvpn-spoke-a-hub" in frame["picture"]
                name, rows = await message()
                assert (name, [row[2]["text"] for row in rows]) == ("told", ["tunnel-up"])
            served.say(event={**UP, "event": "registered"})
            for message in (first, second):
                name, rows = await message()
                assert (name, [row[2] for row in rows]) == ("told", [{"text": "registered", "tone": "good"}])

    assert serving(tmp_path, test) == 0


def test_a_page_that_comes_late_hears_of_the_newest_frame_only(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with served.stream() as early:
            for _ in range(3):
                await early()
            served.say(frame={**FRAME, "lab": "newer"})
            assert (await early())[1]["lab"] == "newer"
        async with served.stream() as late:
            assert await late() == ("begin", None)
            assert (await late())[1]["lab"] == "newer"

    serving(tmp_path, test)


def test_a_page_that_does_not_keep_up_is_let_go_and_the_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "BACKLOG", 4)
    slow: asyncio.Queue[bytes | None] = asyncio.Queue(4)

    async def test(served: Served) -> None:
        async with served.stream() as quick:
            for _ in range(3):
                await quick()
            served.page._streams.add(slow)  # a page that reads nothing
            for number in range(6):
                served.say(event={**UP, "at": ZERO + number})
                await quick()
            assert slow not in served.page._streams
            assert [slow.get_nowait() is None for _ in range(4)] == [False, False, False, True]

    serving(tmp_path, test)


def test_the_end_of_the_lab_is_told_to_every_page_and_ends_the_server(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        async with served.stream() as message:
            for _ in range(3):
                await message()
            served.say(ended="lab ipsec was taken down")
            assert await message() == ("ended", "lab ipsec was taken down")
            assert served.page.ended == "lab ipsec was taken down"

    serving(tmp_path, test)


def test_a_source_that_fails_gives_its_exit_code(tmp_path: Path) -> None:
    page = Browser(Source([sys.executable, "-c", "import sys; sys.exit(2)"]))
    assert asyncio.run(page.run(0, lambda address: None)) == 2


def test_a_port_in_use_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is in use"):
            asyncio.run(Browser(Source(["true"])).run(port, lambda address: None))
