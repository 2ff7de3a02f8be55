"""The control socket: a real one, with clients that behave and clients that do not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from dmvpn_lab.answers import QUERIES
from dmvpn_lab.daemon.control import BACKLOG, HISTORY, LINE_LIMIT, Control
from dmvpn_lab.errors import HostError

PATIENCE_S = 10.0


class Peer:
    """A client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def line(self) -> dict[str, Any]:
        """The next message."""
        data = await asyncio.wait_for(self.reader.readline(), PATIENCE_S)
        assert data.endswith(b"\n"), f"the connection ended after {data!r}"
        return dict(json.loads(data))

    async def ask(self, request: Any) -> dict[str, Any]:
        """Send a line, and the answer to it."""
        self.writer.write(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")
        return await self.line()


class Place:
    """A listening socket and the way to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[str] = []
        self.control = Control(self._query)
        self._peers: list[Peer] = []

    def _query(self, name: str) -> Any:
        self.asked.append(name)
        return [name]

    async def peer(self) -> Peer:
        """A new client."""
        made = Peer(*await asyncio.open_unix_connection(str(self.path), limit=1 << 24))
        self._peers.append(made)
        return made

    async def close(self) -> None:
        """Everything, clients first."""
        self.control.close()
        for each in self._peers:
            each.writer.close()
            with contextlib.suppress(ConnectionError):
                await each.writer.wait_closed()


@contextlib.asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    made = Place(folder / "run" / "agent.sock")
    await made.control.open(made.path)
    try:
        yield made
    finally:
        await made.close()


def served(folder: Path, test: Callable[[Place], Awaitable[None]]) -> None:
    """Run a test against a listening socket."""

    async def inside() -> None:
        async with place(folder) as made:
            await test(made)

    asyncio.run(inside())


def test_each_query_is_answered_under_the_number_of_its_request(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        peer = await made.peer()
        for number, name in enumerate(QUERIES):
            answer = await peer.ask({"v": 1, "id": number, "query": name})
            assert answer == {"v": 1, "id": number, "ok": True, "result": [name]}
        assert made.asked == list(QUERIES)

    served(tmp_path, test)


REFUSED: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"hello\n", "a request is one line of JSON"),
    "an empty line": (b"\n", "a request is one line of JSON"),
    "not UTF-8": (b'{"v": "\xff\xfe"}\n', "a request is one line of JSON"),
    "nested too deep": (b"[" * 60000 + b"\n", "a request is one line of JSON"),
    "a list": (b"[]\n", "a request is a JSON object"),
    "a number": (b"7\n", "a request is a JSON object"),
    "no version": (b'{"query": "nhrp"}\n', "version None, this agent speaks 1"),
    "another version": (b'{"v": 2, "query": "nhrp"}\n', "version 2, this agent speaks 1"),
    "an unknown query": (b'{"v": 1, "query": "foo"}\n', "unknown query 'foo'; there are nhrp, nhs, "),
    "a query that is no name": (b'{"v": 1, "query": ["nhrp"]}\n', "unknown query ['nhrp']; "),
    "no query": (b'{"v": 1}\n', "unknown query None; "),
    "subscribe that is not true": (b'{"v": 1, "subscribe": 1}\n', "unknown query None; "),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_request_is_refused_and_the_connection_goes_on(what: str, tmp_path: Path) -> None:
    request, wanted = REFUSED[what]

    async def test(made: Place) -> None:
        peer = await made.peer()
        answer = await peer.ask(request)
        assert (answer["v"], answer["ok"]) == (1, False)
        assert answer["error"].startswith(wanted)
        assert (await peer.ask({"v": 1, "id": 9, "query": "nhs"}))["result"] == ["nhs"]
        assert made.asked == ["nhs"]

    served(tmp_path, test)


def test_a_refusal_carries_the_number_of_its_request(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        answer = await (await made.peer()).ask({"v": 1, "id": "seven", "query": "foo"})
        assert answer["id"] == "seven"

    served(tmp_path, test)


def test_requests_in_pieces_and_several_at_once_are_each_answered_in_order(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        peer = await made.peer()
        lines = b"".join(b'{"v":1,"id":%d,"query":"nhrp"}\n' % number for number in range(20))
        for at in range(0, len(lines), 7):
            peer.writer.write(lines[at : at + 7])
            await peer.writer.drain()
        assert [(await peer.line())["id"] for _ in range(20)] == list(range(20))

    served(tmp_path, test)


def test_a_line_that_is_too_long_is_refused_and_ends_the_connection(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        peer, other = await made.peer(), await made.peer()
        peer.writer.write(b"x" * (LINE_LIMIT + 1))
        assert (await peer.line())["error"] == f"a request has {LINE_LIMIT} octets at most"
        assert await asyncio.wait_for(peer.reader.read(), PATIENCE_S) == b""
        assert (await other.ask({"v": 1, "id": 1, "query": "nhs"}))["ok"]

    served(tmp_path, test)


def test_a_line_that_just_fits_is_read(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        request = b'{"v":1,"id":1,"query":"nhs"}'
        answer = await (await made.peer()).ask(request + b" " * (LINE_LIMIT - len(request)) + b"\n")
        assert answer["ok"]

    served(tmp_path, test)


def test_a_subscriber_gets_events_from_then_on_and_others_get_none(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        subscriber, other = await made.peer(), await made.peer()
        made.control.publish("before", {"n": 0})
        assert await subscriber.ask({"v": 1, "id": 1, "subscribe": True}) == {
            "v": 1, "id": 1, "ok": True, "result": None,
        }  # fmt: skip
        made.control.publish("after", {"n": 1})
        event = await subscriber.line()
        assert abs(event.pop("at") - time.time()) < 5
        assert event == {"v": 1, "event": "after", "n": 1}
        assert (await other.ask({"v": 1, "id": 2, "query": "nhs"}))["id"] == 2

    served(tmp_path, test)


def test_replay_gives_the_events_of_before_in_order_and_no_more_than_are_kept(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        for number in range(HISTORY + 5):
            made.control.publish("event", {"n": number})
        peer = await made.peer()
        await peer.ask({"v": 1, "id": 1, "subscribe": True, "replay": True})
        made.control.publish("event", {"n": "new"})
        numbers = [(await peer.line())["n"] for _ in range(HISTORY + 1)]
        assert numbers == [*range(5, HISTORY + 5), "new"]

    served(tmp_path, test)


@pytest.mark.parametrize(
    ("wanted", "told"), [(2, [3, 4]), (9, [0, 1, 2, 3, 4]), (0, []), (-3, []), ("2", []), (False, [])]
)
def test_replay_gives_as_many_of_the_last_events_as_are_wanted(
    wanted: object, told: list[int], tmp_path: Path
) -> None:
    async def test(made: Place) -> None:
        for number in range(5):
            made.control.publish("event", {"n": number})
        peer = await made.peer()
        await peer.ask({"v": 1, "id": 1, "subscribe": True, "replay": wanted})
        made.control.publish("event", {"n": "new"})
        assert [(await peer.line())["n"] for _ in range(len(told) + 1)] == [*told, "new"]

    served(tmp_path, test)


def test_a_subscriber_that_does_not_read_is_dropped_and_the_others_lose_nothing(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        slow, good = await made.peer(), await made.peer()
        for each in (slow, good):
            await each.ask({"v": 1, "id": 1, "subscribe": True})
        transport = cast(asyncio.ReadTransport, slow.writer.transport)
        transport.pause_reading()
        size = 64 << 10
        count = 3 * BACKLOG // size
        for number in range(count):
            made.control.publish("event", {"n": number, "padding": "x" * size})
            assert (await good.line())["n"] == number
        transport.resume_reading()
        with contextlib.suppress(ConnectionResetError):
            got = await asyncio.wait_for(slow.reader.read(), PATIENCE_S)
            assert len(got) < count * size
        assert len(made.control._clients) == 1

    served(tmp_path, test)


def test_a_client_that_hangs_up_in_the_middle_of_a_line_is_forgotten(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        peer, other = await made.peer(), await made.peer()
        await peer.ask({"v": 1, "id": 1, "subscribe": True})
        await other.ask({"v": 1, "id": 1, "subscribe": True})
        peer.writer.write(b'{"v": 1')
        peer.writer.close()
        await peer.writer.wait_closed()
        made.control.publish("event", {})
        assert (await other.line())["event"] == "event"
        assert (await other.ask({"v": 1, "id": 2, "query": "nhs"}))["ok"]
        assert len(made.control._clients) == 1

    served(tmp_path, test)


def test_the_last_event_is_still_written_when_the_agent_ends_and_its_socket_is_gone(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        peer = await made.peer()
        await peer.ask({"v": 1, "id": 1, "subscribe": True})
        made.control.publish("tunnel-down", {"reason": "the agent ends"})
        made.control.close()
        assert (await peer.line())["reason"] == "the agent ends"
        assert await asyncio.wait_for(peer.reader.read(), PATIENCE_S) == b""
        assert not made.path.exists()

    served(tmp_path, test)


def test_the_socket_and_its_folder_are_made_and_only_the_owner_may_use_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:

        async def test(made: Place) -> None:
            assert stat.S_IMODE(made.path.stat().st_mode) == 0o600

        served(tmp_path, test)
    finally:
        os.umask(before)


def test_the_socket_of_an_agent_that_died_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(tmp_path / "run" / "agent.sock"))

    async def test(made: Place) -> None:
        assert (await (await made.peer()).ask({"v": 1, "id": 1, "query": "nhs"}))["ok"]

    served(tmp_path, test)


def test_the_socket_of_an_agent_that_lives_is_not_taken(tmp_path: Path) -> None:
    async def test(made: Place) -> None:
        with pytest.raises(HostError, match="another agent answers there"):
            await Control(lambda name: name).open(made.path)
        assert (await (await made.peer()).ask({"v": 1, "id": 1, "query": "nhs"}))["ok"]

    served(tmp_path, test)


@pytest.mark.parametrize(
    ("path", "why"),
    [("x" * 200, "AF_UNIX path too long"), ("file/agent.sock", "File exists|Not a directory")],
)
def test_a_path_that_cannot_be_a_socket_is_a_host_error(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match=f"control socket .*: ({why})"):
        asyncio.run(Control(lambda name: name).open(tmp_path / path))
