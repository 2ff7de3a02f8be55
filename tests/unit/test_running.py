"""A running lab: nodes by name, questions to agents, and a watch that wakes by event."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from dmvpn_lab import running
from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.backends.routes import Change
from dmvpn_lab.daemon.control import Control
from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.running import Event, RunningLab, Watch, watching
from tests.unit.agents import ACCEPTED, knowing, saying, served
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import bundled

DECK = bundled("hub-and-spoke")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def lab(recorder: Recorder) -> RunningLab:
    return RunningLab(DECK, recorder)


def test_nodes_and_routers_are_found_by_name(lab: RunningLab) -> None:
    assert lab.node("host-0").kind == "host"
    assert lab.router("hub").kind == "router"
    with pytest.raises(UsageError, match="no node 'hub-9'") as caught:
        lab.node("hub-9")
    assert caught.value.hint == "there are: hub, spoke-a, spoke-b, isp, host-0, host-1, host-2"
    with pytest.raises(UsageError, match="isp is no router"):
        lab.router("isp")


def test_a_command_that_must_succeed_is_an_error_with_what_it_said(
    lab: RunningLab, recorder: Recorder
) -> None:
    recorder.answer = lambda node, argv: ExecResult(tuple(argv), 0, "fine\n", "")
    assert asyncio.run(lab.must("hub", "ip", "link")) == "fine\n"
    recorder.answer = lambda node, argv: ExecResult(tuple(argv), 2, "", "no such device\n")
    with pytest.raises(LabError, match=r"^hub: 'ip link' failed with 2: no such device$"):
        asyncio.run(lab.must("hub", "ip", "link"))
    assert asyncio.run(lab.exec("hub", "ip", "link")).exit_code == 2


def test_an_agents_answer_is_given_back(lab: RunningLab, recorder: Recorder) -> None:
    async def ask() -> object:
        async with knowing(recorder, {"hub": {"nhs": [{"state": "registered"}]}}):
            return await lab.query("hub", "nhs")

    assert asyncio.run(ask()) == [{"state": "registered"}]


def test_an_agent_that_refuses_is_an_error_with_its_words(lab: RunningLab, recorder: Recorder) -> None:
    async def ask() -> None:
        async with knowing(recorder, {"hub": {}}):
            await lab.query("hub", "weather")

    with pytest.raises(LabError, match=r"hub: its agent: unknown query 'weather'"):
        asyncio.run(ask())


def test_an_agent_that_hangs_up_is_an_error(lab: RunningLab, recorder: Recorder) -> None:
    async def ask() -> None:
        async with saying(recorder, {"hub": ()}):
            await lab.query("hub", "nhrp")

    with pytest.raises(LabError, match="closed the connection"):
        asyncio.run(ask())


def test_an_agent_that_says_nothing_is_an_error_in_time(
    lab: RunningLab, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "ANSWER_DEADLINE_S", 0.05)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def ask() -> None:
        recorder.agents["hub"] = tmp_path / "s"
        async with served(tmp_path / "s", silent):
            await lab.query("hub", "nhrp")

    with pytest.raises(LabError, match="did not answer in 0 s"):
        asyncio.run(ask())


def test_events_come_with_the_name_of_their_node(lab: RunningLab, recorder: Recorder) -> None:
    event = {"v": 1, "event": "agent-ready", "at": 1.0}

    async def listen() -> list[Event]:
        async with saying(recorder, {"hub": (ACCEPTED, event, event)}):
            return [each async for each in lab.events("hub")]

    assert asyncio.run(listen()) == [{"node": "hub", **event}] * 2


def test_a_wait_ends_at_a_change_and_not_before(lab: RunningLab) -> None:
    async def wait() -> tuple[float, float]:
        watch, loop = Watch(lab), asyncio.get_running_loop()
        began = loop.time()
        await watch.wait(0.05)
        nothing = loop.time() - began
        loop.call_soon(watch._changed.set)
        began = loop.time()
        await watch.wait(60)
        return nothing, loop.time() - began

    nothing, woken = asyncio.run(wait())
    assert nothing >= 0.05
    assert woken < 5


def test_an_event_is_found_whether_it_came_before_or_comes_after(lab: RunningLab) -> None:
    async def find() -> list[Event | None]:
        watch = Watch(lab, [{"event": "a"}, {"event": "b"}])
        before = await watch.event(lambda e: e["event"] == "b", 0)

        def later() -> None:
            watch.seen.append({"event": "c"})
            watch._changed.set()

        asyncio.get_running_loop().call_later(0.02, later)
        after = await watch.event(lambda e: e["event"] == "c", 60)
        never = await watch.event(lambda e: e["event"] == "d", 0.02)
        return [before, after, never]

    assert asyncio.run(find()) == [{"event": "b"}, {"event": "c"}, None]


def test_a_watch_hears_every_router_and_ends_what_it_started(lab: RunningLab, recorder: Recorder) -> None:
    event = {"v": 1, "event": "agent-ready", "at": 1.0}

    async def look() -> set[str]:
        said = {router.name: (ACCEPTED, event) for router in DECK.routers()}
        async with saying(recorder, said), watching(lab) as watch:
            while len({each["node"] for each in watch.seen}) < 3:
                await watch.wait(10)
            return {each["node"] for each in watch.seen}

    assert asyncio.run(asyncio.wait_for(look(), 30)) == {"hub", "spoke-a", "spoke-b"}
    assert recorder.following == {}


def test_a_watch_wakes_when_a_route_changes(lab: RunningLab, recorder: Recorder) -> None:
    change = Change(ip_network("192.168.1.0/24"), (ip_address("10.0.0.11"),), 254, False)

    async def look() -> Watch:
        async with saying(recorder, {r.name: (ACCEPTED,) for r in DECK.routers()}), watching(lab) as watch:
            assert set(recorder.following) == {"hub", "spoke-a", "spoke-b"}
            asyncio.get_running_loop().call_soon(recorder.following["hub"], [change])
            async with asyncio.timeout(30):
                await watch._changed.wait()
            return watch

    watch = asyncio.run(look())
    assert watch.seen == []
    assert [(each.node, each.what) for each in watch.routes] == [("hub", change)]


def test_an_error_within_a_watch_comes_out_as_it_is(lab: RunningLab, recorder: Recorder) -> None:
    async def fail() -> None:
        async with saying(recorder, {r.name: (ACCEPTED,) for r in DECK.routers()}), watching(lab):
            raise LabError("hub is dead")

    with pytest.raises(LabError, match="hub is dead"):
        asyncio.run(fail())


def test_the_past_of_an_agent_is_all_that_it_remembers_and_nothing_is_waited_for(
    lab: RunningLab, recorder: Recorder, tmp_path: Path
) -> None:
    async def ask() -> tuple[list[Event], list[Event]]:
        control = Control(lambda name: {})
        recorder.agents["hub"] = tmp_path / "hub.sock"
        await control.open(recorder.agents["hub"])
        try:
            async with asyncio.timeout(20):
                none = await lab.past("hub")
                for number in range(3):
                    control.publish("registered", {"request_id": number})
                return none, await lab.past("hub")
        finally:
            control.close()

    none, three = asyncio.run(ask())
    assert none == []
    assert [(each["node"], each["request_id"]) for each in three] == [("hub", 0), ("hub", 1), ("hub", 2)]


def test_an_agent_that_dies_while_it_tells_its_past_is_an_error(lab: RunningLab, recorder: Recorder) -> None:
    async def ask() -> None:
        async with saying(recorder, {"hub": (ACCEPTED, {"v": 1, "event": "registered", "at": 1.0})}):
            await lab.past("hub")

    with pytest.raises(LabError, match="hub: its agent closed the connection"):
        asyncio.run(ask())
