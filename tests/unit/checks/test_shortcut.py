"""The check `shortcut`: what it asks, and that it fails when the way does not change back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.checks import CheckResult, shortcut
from dmvpn_lab.checks.shortcut import Shortcut
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.agents import knowing
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import bundled

LAB = bundled("phase-3")
HUB, PEER = "10.0.0.1", "10.0.0.12"


def run(
    monkeypatch: pytest.MonkeyPatch, gateways: list[str], received: int = 5, plan: Plan = LAB
) -> list[CheckResult]:
    """The results when the way is by these gateways, one after the other, and pings are answered or not."""
    monkeypatch.setattr(shortcut, "DEADLINE_S", 0.0)
    monkeypatch.setattr(shortcut, "GONE_S", 0.0)
    recorder = Recorder()

    def answer(node: str, argv: Sequence[str]) -> ExecResult:
        if argv[0] == "ping":
            return ExecResult((), 0, f"5 packets transmitted, {received} received\n", "")
        return ExecResult((), 0, json.dumps([{"gateway": gateways.pop(0)}]), "")

    recorder.answer = answer

    async def results() -> list[CheckResult]:
        async with knowing(recorder, {"spoke-a": {"clear": None}}):
            lab = RunningLab(plan, recorder)
            return [result async for result in Shortcut().run(lab, Watch(lab))]

    return asyncio.run(results())


def test_a_shortcut_that_comes_and_goes_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [r.passed for r in run(monkeypatch, [PEER, HUB])] == [True, True, True]


def test_a_shortcut_that_never_comes_fails_and_nothing_more_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,) = run(monkeypatch, [HUB])
    assert (result.passed, result.observed) == (False, "192.168.2.2 via 10.0.0.1")


def test_a_shortcut_that_stays_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [r.passed for r in run(monkeypatch, [PEER, PEER])] == [True, False, True]


def test_a_ping_that_is_lost_when_it_ends_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [r.passed for r in run(monkeypatch, [PEER, HUB], received=4)] == [True, True, False]


def test_with_ipsec_no_ping_may_be_lost_either(monkeypatch: pytest.MonkeyPatch) -> None:
    results = run(monkeypatch, [PEER, HUB], 4, bundled("ipsec-phase-3"))
    assert [r.passed for r in results] == [True, True, False]
