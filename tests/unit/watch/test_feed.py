"""The feed: real sockets to agents that a test plays; what is asked, when, and what is emitted."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.backends import state as backends_state
from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.running import RunningLab
from dmvpn_lab.watch import feed
from dmvpn_lab.watch.feed import Feed, Line
from dmvpn_lab.watch.frame import Frame
from tests.unit.agents import served
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import bundled
from tests.unit.watch.answers import ANSWERS, ZERO, nhs

PATIENCE_S = 20.0
UP = {"v": 1, "event": "tunnel-up", "at": ZERO, "interface": "tunnel0", "nbma": "172.16.1.1"}


class Backend(Recorder):
    """Says it like every backend when an agent cannot be reached."""

    async def open(self, lab: str, node: str) -> tuple[StreamReader, StreamWriter]:
        try:
            return await Recorder.open(self, lab, node)
        except OSError as error:
            raise LabError(f"{node}: its agent does not answer") from error
        except KeyError as error:
            raise UsageError(f"lab {lab} has no node {node!r}") from error


class Agent:
    """Answers questions from a table, tells past events, and new ones when the test says so."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known
        self.past: list[Line] = []
        self.asked: Counter[str] = Counter()
        self.subscribed: list[Line] = []
        self._writers: list[StreamWriter] = []

    async def talk(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.append(writer)
        while line := await reader.readline():
            request = json.loads(line)
            answer = {"v": 1, "id": request["id"], "ok": True, "result": None}
            if request.get("subscribe"):
                self.subscribed.append(request)
                said = [answer, *self.past[-request["replay"] :]] if request["replay"] else [answer]
            else:
                self.asked[request["query"]] += 1
                said = [answer | {"result": self.known[request["query"]]}]
            for each in said:
                writer.write(json.dumps(each).encode() + b"\n")

    def tell(self, event: Line) -> None:
        for writer in self._writers:
            writer.write(json.dumps(event).encode() + b"\n")

    def die(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()


class Followed:
    """A feed at work; what it has emitted."""

    def __init__(self, recorder: Recorder) -> None:
        self.lines: list[Line] = []
        self.recorder = recorder
        self.agents = {node: Agent(copy.deepcopy(known)) for node, known in ANSWERS.items()}
        self._more = asyncio.Event()

    def emit(self, line: Line) -> None:
        self.lines.append(line)
        self._more.set()

    async def until(self, wanted: Callable[[Line], Any]) -> Line:
        """The first line since the last call that is wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                while self.lines:
                    line = self.lines.pop(0)
                    if wanted(line):
                        return line
                self._more.clear()
                await self._more.wait()

    async def frame(self, wanted: Callable[[Frame], Any] = lambda frame: True) -> Frame:
        found: Frame = (await self.until(lambda line: "frame" in line and wanted(line["frame"])))["frame"]
        return found


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(backends_state, "LABS", tmp_path / "labs")
    monkeypatch.setattr(feed, "RECONNECT_S", 0.05)


@contextlib.asynccontextmanager
async def lab(name: str, tmp_path: Path) -> AsyncIterator[tuple[Followed, RunningLab]]:
    """A lab on disk, with an agent for each of its routers."""
    plan = bundled(name)
    folder = LabFolder(plan.lab)
    folder.create()
    folder.write_plan(plan)
    recorder = Backend()
    followed = Followed(recorder)
    async with contextlib.AsyncExitStack() as stack:
        for node, agent in followed.agents.items():
            recorder.agents[node] = tmp_path / node
            await stack.enter_async_context(served(recorder.agents[node], agent.talk))
        yield followed, RunningLab(plan, recorder)
        for agent in followed.agents.values():
            agent.die()


def following(
    name: str, tmp_path: Path, test: Callable[[Followed], Awaitable[None]], *, gap_s: float = 0.0
) -> None:
    """Run a test beside a feed, which ends with it."""

    async def inside() -> None:
        async with lab(name, tmp_path) as (followed, running), asyncio.TaskGroup() as group:
            task = group.create_task(Feed(running, followed.emit, gap_s=gap_s).run())
            await test(followed)
            task.cancel()

    asyncio.run(inside())


def test_the_first_frame_has_everything_and_each_question_was_put_once(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        frame = await followed.frame()
        assert [tunnel["state"] for tunnel in frame["tunnels"]] == ["registered", "registered"]
        assert (len(frame["caches"]), len(frame["adjacencies"]), len(frame["sas"])) == (4, 4, 4)
        for node, agent in followed.agents.items():
            assert agent.asked == dict.fromkeys(ANSWERS[node], 1)

    following("ipsec", tmp_path, test)


def test_one_frame_and_no_event_is_emitted_when_only_one_is_wanted(tmp_path: Path) -> None:
    async def inside() -> None:
        async with lab("ipsec", tmp_path) as (followed, running):
            followed.agents["spoke-a"].past = [UP]
            await Feed(running, followed.emit).run(once=True)
            assert [list(line) for line in followed.lines] == [["v", "frame"]]

    asyncio.run(inside())


def test_an_event_is_emitted_at_once_and_what_it_changed_is_asked_and_in_the_next_frame(
    tmp_path: Path,
) -> None:
    async def test(followed: Followed) -> None:
        await followed.frame()
        agent = followed.agents["spoke-a"]
        agent.known["nhs"] = [nhs("registering")]
        agent.tell({**UP, "event": "registration-timeout", "nhs": "10.0.0.1", "tries": 3})
        told = await followed.until(lambda line: "event" in line)
        assert told["event"]["node"] == "spoke-a"
        frame = await followed.frame()
        assert [tunnel["state"] for tunnel in frame["tunnels"]] == ["registering", "registered"]
        assert agent.asked["nhs"] == 2
        assert agent.asked["nhrp"] == followed.agents["hub"].asked["nhs"] == 1

    following("ipsec", tmp_path, test)


def test_many_events_within_the_gap_are_one_frame_and_one_question(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        await followed.frame()
        agent = followed.agents["hub"]
        for number in range(50):
            agent.tell({**UP, "at": ZERO + number, "event": "peer-expired", "protocol": f"10.0.1.{number}"})
        for _ in range(50):
            await followed.until(lambda line: "event" in line)
        assert not [line for line in followed.lines if "frame" in line]
        await followed.frame()
        assert agent.asked["nhrp"] == 2

    following("ipsec", tmp_path, test, gap_s=0.5)


def test_past_events_are_told_at_the_beginning_only_so_many_and_never_twice(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        agent = followed.agents["spoke-a"]
        await followed.frame(lambda frame: followed.agents["spoke-a"].subscribed)
        assert agent.subscribed[0]["replay"] == feed.HISTORY
        agent.past = [{**UP, "at": ZERO + number} for number in (1, 2)]
        agent.die()
        told = [(await followed.until(lambda line: "event" in line))["event"]["at"] for _ in range(2)]
        agent.past.append({**UP, "at": ZERO + 3})
        agent.die()
        told.append((await followed.until(lambda line: "event" in line))["event"]["at"])
        assert told == [ZERO + 1, ZERO + 2, ZERO + 3]

    following("ipsec", tmp_path, test)


def test_an_agent_that_goes_and_comes_back_is_told_gone_and_then_asked_everything(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        await followed.frame()
        agent, path = followed.agents["hub"], followed.recorder.agents["hub"]
        followed.recorder.agents["hub"] = tmp_path / "nobody"
        agent.die()
        gone = await followed.frame(lambda frame: frame["nodes"][0]["agent"] == "gone")
        assert {tunnel["state"] for tunnel in gone["tunnels"]} == {"agent gone"}
        followed.recorder.agents["hub"] = path
        back = await followed.frame(lambda frame: frame["tunnels"][0]["state"] == "registered")
        assert [entry["node"] for entry in back["caches"]].count("hub") == 2

    following("ipsec", tmp_path, test)


def test_a_router_that_hangs_does_not_hold_back_what_the_others_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "FIRST_S", 0.5)

    async def silent(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.read()

    async def inside() -> None:
        async with lab("ipsec", tmp_path) as (followed, running), served(tmp_path / "mute", silent):
            followed.recorder.agents["spoke-b"] = tmp_path / "mute"
            await Feed(running, followed.emit).run(once=True)
            (line,) = followed.lines
            assert [tunnel["state"] for tunnel in line["frame"]["tunnels"]] == ["registered", "agent gone"]

    asyncio.run(inside())


def test_without_news_everything_is_asked_again_once_in_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "REFRESH_S", 0.3)

    async def test(followed: Followed) -> None:
        await followed.frame()
        followed.agents["hub"].known["ipsec"] = []
        frame = await followed.frame(lambda frame: len(frame["sas"]) == 2)
        assert {each["node"] for each in frame["sas"]} == {"spoke-a", "spoke-b"}

    following("ipsec", tmp_path, test)


def test_a_lab_that_is_taken_down_or_replaced_is_the_end(tmp_path: Path) -> None:
    async def ended(change: Callable[[], object]) -> Line:
        async with lab("ipsec", tmp_path) as (followed, running):
            async with asyncio.TaskGroup() as group:
                group.create_task(Feed(running, followed.emit, gap_s=0.0).run())
                await followed.frame()
                change()
                del followed.recorder.agents["hub"]
                followed.agents["hub"].die()
            return followed.lines[-1]

    folder = LabFolder("ipsec")
    assert asyncio.run(ended(folder.remove))["ended"] == "lab ipsec was taken down"
    other = bundled("ipsec-deck")
    replaced = asyncio.run(ended(lambda: folder.write_plan(other)))
    assert replaced["ended"] == "lab ipsec was started anew with another topology"


BGP = json.dumps({"ipv4Unicast": {"peers": {"10.0.0.11": {"state": "Established"}}}})


def test_a_routing_daemon_is_asked_again_when_a_route_changes(tmp_path: Path) -> None:
    async def test(followed: Followed) -> None:
        followed.recorder.answer = lambda node, argv: ExecResult(
            tuple(argv), 0, BGP if node == "hub" else "", ""
        )
        frame = await followed.frame(lambda frame: frame["adjacencies"])
        (found,) = frame["adjacencies"]
        assert (found["node"], found["protocol"], found["neighbour"], found["peer"], found["up"]) == (
            "hub", "bgp", "10.0.0.11", "spoke-a", True
        )  # fmt: skip
        followed.recorder.done.clear()
        assert set(followed.recorder.following) == {"hub", "spoke-a", "spoke-b"}
        followed.recorder.following["hub"]([])
        await followed.frame(lambda frame: any(done[0] == "hub" for done in followed.recorder.done))

    following("hub-and-spoke-bgp", tmp_path, test)
