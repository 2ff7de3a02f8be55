"""How many questions are asked at the same time when a test has failed, and how long."""

from __future__ import annotations

import asyncio
import functools

import pytest

from dmvpn_lab.errors import LabError
from dmvpn_lab.testing import artefacts


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
