"""How many questions are asked at the same time when a test has failed, and how long."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

import pytest

from dmvpn_lab import answers
from dmvpn_lab.errors import LabError
from dmvpn_lab.running import RunningLab
from dmvpn_lab.testing import artefacts
from tests.unit.agents import knowing
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import bundled


def test_a_question_without_an_answer_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "PATIENCE_S", 0.2)

    async def answer(text: str) -> str:
        return text

    async def never() -> str:
        await asyncio.get_running_loop().create_future()
        return ""

    async def dead() -> str:
        raise LabError("hub is dead")

    one, two = functools.partial(answer, "one"), functools.partial(answer, "two")
    found = asyncio.run(artefacts._answers([one, never, dead, two]))
    assert (found[0], found[3]) == ("one", "two")
    assert isinstance(found[1], asyncio.CancelledError)
    assert str(found[2]) == "hub is dead"


def test_no_more_questions_are_under_way_than_a_large_lab_can_bear() -> None:
    under_way, most = 0, 0

    async def ask() -> str:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return ""

    assert asyncio.run(artefacts._answers([ask] * 100)) == [""] * 100
    assert most == artefacts.AT_ONCE


def test_of_a_protocol_that_a_router_does_not_speak_there_is_no_file(tmp_path: Path) -> None:
    deck, recorder = bundled("hub-and-spoke"), Recorder()
    known: dict[str, list[str] | None] = {query: None if query == "odr" else [] for query in answers.QUERIES}

    async def look() -> list[str]:
        async with knowing(recorder, {router.name: known for router in deck.routers()}):
            return await artefacts._look(RunningLab(deck, recorder), tmp_path)

    assert asyncio.run(look()) == []
    tables = {path.stem for path in (tmp_path / "show" / "hub").glob("*.json")}
    assert tables == set(answers.QUERIES) - {"odr"}
