"""A learner's place on a served class: what is done in order, what is refused, and the end."""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path

import aiohttp
import pytest

from dmvpn_lab.classroom import server
from tests.unit.classroom.served import PATIENCE_S, WORKSHOP, Served, heard, post, serving, started, told


def test_a_check_is_told_to_the_learner_and_on_the_board(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna, carla = await started(served, "anna"), await served.log_in("carla")
        async with anna.ws_connect("/terminal/hub") as line:
            await heard(line, b"in hub")
            assert (await post(anna, "/do/check"))[0] == 202
            state = await told(anna, "/state", lambda state: state["seen"])
            assert "hub" in state["terminals"]
            await line.send_bytes(b"more\n")
            await heard(line, b"heard more")
        assert [task["done"] for task in state["seen"]] == [True, False]
        assert f"did workshop start {WORKSHOP}" in state["log"]
        board = await told(carla, "/board", lambda board: board["learners"][0]["checked_at"])
        assert board["running"] == 1
        row = board["learners"][0]
        assert (row["learner"], row["done"], row["tasks"], row["state"]) == ("anna", 1, 2, "running")
        assert board["learners"][1]["state"] == "off"
        await anna.close()
        await carla.close()

    serving(tmp_path, test)


def test_hints_come_one_by_one_and_are_kept(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna = await started(served, "anna")
        for _ in range(5):
            assert (await post(anna, "/do/hint"))[0] == 204
        state = await told(anna, "/state", lambda state: state["workshop"])
        assert len(state["workshop"]["hints"]) == state["workshop"]["all_hints"] == 3
        kept = json.loads((tmp_path / "anna" / "dmvpn-lab" / "workshops.json").read_text())
        assert kept[WORKSHOP]["hints"] == 3
        await anna.close()

    serving(tmp_path, test)


def test_a_second_thing_at_once_is_refused_and_a_full_class_too(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna, bob = await started(served, "anna"), await served.log_in("bob")
        assert await post(bob, "/do/start", workshop=WORKSHOP) == (409, "1 labs run, as many as may\n")
        assert await post(bob, "/do/hint") == (409, "no workshop is started\n")
        assert (await post(anna, "/do/apply", topology="lab: x\n"))[0] == 202
        state = await told(anna, "/state", lambda state: state["doing"])
        assert state["terminals"] == []
        assert await post(anna, "/do/check") == (409, "not now: applying the topology\n")
        for browser in (anna, bob):
            await browser.close()

    assert serving(tmp_path, test) == 0, "what was going on is interrupted by the end"


def test_of_two_that_start_at_the_same_time_the_last_place_is_for_one(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna, bob = await served.log_in("anna"), await served.log_in("bob")
        start = functools.partial(post, path="/do/start", workshop=WORKSHOP)
        answers = await asyncio.gather(start(anna), start(bob))
        assert sorted(answers) == [(202, ""), (409, "1 labs run, as many as may\n")]
        for browser in (anna, bob):
            await browser.close()

    serving(tmp_path, test)


def test_one_who_starts_twice_at_the_same_time_starts_once(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna = await served.log_in("anna")
        start = functools.partial(post, path="/do/start", workshop=WORKSHOP)
        answers = await asyncio.gather(*(start(anna) for _ in range(5)))
        assert sorted(code for code, _ in answers) == [202, 409, 409, 409, 409]
        state = await told(anna, "/state", lambda state: state["terminals"])
        assert state["log"].count(f"did workshop start {WORKSHOP}") == 1
        await anna.close()

    serving(tmp_path, test)


def test_a_start_that_is_refused_takes_no_place(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna, bob = await served.log_in("anna"), await served.log_in("bob")
        assert (await post(anna, "/do/start", workshop="no-such"))[0] == 202
        state = await told(anna, "/state", lambda state: state["log"] and not state["doing"])
        assert (state["log"], state["running"]) == (["there is no workshop 'no-such'"], False)
        assert (await post(bob, "/do/start", workshop=WORKSHOP))[0] == 202
        for browser in (anna, bob):
            await browser.close()

    serving(tmp_path, test)


def test_an_edited_topology_is_kept_and_one_without_end_is_not(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna = await started(served, "anna")
        async with anna.get("/topology") as answer:
            assert (await answer.text()).startswith("lab: workshop-01\n")
        await post(anna, "/do/apply", topology="x" * 100_000)
        await told(anna, "/state", lambda state: "a topology of more than 64 KiB" in state["log"])
        await post(anna, "/do/apply", topology="lab: y\r\n")
        await told(anna, "/state", lambda state: state["doing"])
        path = tmp_path / "anna" / "dmvpn-lab" / "workshops" / WORKSHOP / "topology.yml"
        assert path.read_bytes() == b"lab: y\n"
        await anna.close()

    serving(tmp_path, test)


def test_an_instructor_sees_what_is_typed_and_cannot_type_and_the_learner_knows(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna, carla = await started(served, "anna"), await served.log_in("carla")
        async with carla.get("/look/anna/hub") as answer:
            assert answer.status == 409, "there is nothing to look at yet"
        async with anna.ws_connect("/terminal/hub") as line:
            await heard(line, b"in hub")
            async with carla.ws_connect("/look/anna/hub") as shoulder:
                await told(anna, "/state", lambda state: state["watched"] == ["carla looks at hub"])
                await shoulder.send_bytes(b"from the instructor\n")
                await line.send_bytes(b"from the learner\n")
                assert b"instructor" not in await heard(shoulder, b"heard from the learner")
            await told(anna, "/state", lambda state: state["watched"] == [])
        async with anna.get("/terminal/no-such-node") as answer:
            assert answer.status == 409
        await anna.close()
        await carla.close()

    serving(tmp_path, test)


def test_a_stop_ends_whatever_is_going_on(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna, carla = await started(served, "anna"), await served.log_in("carla")
        await post(anna, "/do/apply", topology="lab: x\n")
        await told(anna, "/state", lambda state: state["log"][-1].startswith("did up"))
        assert (await post(carla, "/stop/anna"))[0] == 202
        state = await told(anna, "/state", lambda state: not state["running"] and not state["doing"])
        assert "stopped by carla" in state["log"]
        assert (await post(anna, "/do/start", workshop=WORKSHOP))[0] == 202
        await told(anna, "/state", lambda state: state["terminals"])
        for browser in (anna, carla):
            await browser.close()

    serving(tmp_path, test)


def test_who_has_logged_out_has_no_terminal_any_more(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna = await started(served, "anna")
        async with anna.ws_connect("/terminal/hub") as line:
            await heard(line, b"in hub")
            async with anna.post("/logout") as answer:
                assert answer.status == 200
            await line.send_bytes(b"still here\n")
            async with asyncio.timeout(PATIENCE_S):
                while (message := await line.receive()).type is not aiohttp.WSMsgType.CLOSE:
                    assert b"heard" not in message.data
        await anna.close()

    serving(tmp_path, test)


def test_a_lab_that_nobody_touches_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(served: Served) -> None:
        anna = await started(served, "anna")
        served.seats["anna"].touched -= 3600.0
        state = await told(anna, "/state", lambda state: not state["running"])
        assert "stopped: nothing was done for 60 minutes" in state["log"]
        await anna.close()

    monkeypatch.setattr(server, "LOOK_S", 0.1)
    serving(tmp_path, test)


def test_the_end_of_the_class_ends_terminals_and_streams(tmp_path: Path) -> None:
    async def test(served: Served) -> None:
        anna = await started(served, "anna")
        async with anna.ws_connect("/terminal/hub") as line, anna.get("/state") as stream:
            await heard(line, b"in hub")
            served.room.end()
            async with asyncio.timeout(PATIENCE_S):
                while not stream.content.at_eof():
                    await stream.content.readline()
                while (await line.receive()).type is not aiohttp.WSMsgType.CLOSE:
                    pass
        await anna.close()

    assert serving(tmp_path, test) == 0
