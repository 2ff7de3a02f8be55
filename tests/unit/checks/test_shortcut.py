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

LAB, PHASE_2 = bundled("phase-3"), bundled("phase-2")
HUB, PEER = "10.0.0.1", "10.0.0.12"
HUB_NBMA, PEER_NBMA = "172.17.0.1", "172.16.2.1"
HOPS = ("192.168.1.1", HUB, PEER, "192.168.2.2")
STRAIGHT = ("192.168.1.1", PEER, "192.168.2.2")
STATUS = {"tunnels": [{"interface": "tunnel0", "nbma": PEER_NBMA}]}
NAMES = ("before", "made", "straight", "ended", "by the hub", "pings")


def run(
    monkeypatch: pytest.MonkeyPatch,
    found: list[str | None],
    received: int = 5,
    plan: Plan = LAB,
    hops: Sequence[str] = HOPS,
    straight: Sequence[str] = STRAIGHT,
) -> list[CheckResult]:
    """The results when the kernel says these next hops, or in phase 2 NBMA addresses, one after the other."""
    monkeypatch.setattr(shortcut, "DEADLINE_S", 0.0)
    monkeypatch.setattr(shortcut, "GONE_S", 0.0)
    recorder, paths = Recorder(), [straight, hops]

    def answer(node: str, argv: Sequence[str]) -> ExecResult:
        match argv[0]:
            case "ping":
                text = f"5 packets transmitted, {received} received\n"
            case "traceroute":
                text = "".join(f"\n {number}  {hop}  1.0 ms" for number, hop in enumerate(paths.pop(0), 1))
            case _ if "neighbor" in argv:
                nbma = found.pop(0)
                text = json.dumps([] if nbma is None else [{"lladdr": nbma}])
            case _:
                text = json.dumps([{"gateway": PEER if plan is PHASE_2 else found.pop(0)}])
        return ExecResult((), 0, text, "")

    recorder.answer = answer

    async def results() -> list[CheckResult]:
        async with knowing(recorder, {"spoke-a": {"clear": None}, "spoke-b": {"status": STATUS}}):
            lab = RunningLab(plan, recorder)
            return [result async for result in Shortcut().run(lab, Watch(lab))]

    return asyncio.run(results())


def failed(results: list[CheckResult]) -> list[str]:
    """Which of the six do not pass."""
    assert len(results) == len(NAMES)
    return [name for name, result in zip(NAMES, results, strict=True) if not result.passed]


def test_a_shortcut_that_comes_and_goes_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed(run(monkeypatch, [HUB, PEER, HUB])) == []


@pytest.mark.parametrize("first", [None, HUB_NBMA], ids=["unknown", "the hub's"])
def test_in_phase_2_it_is_the_nbma_address_of_the_next_hop(
    monkeypatch: pytest.MonkeyPatch, first: str | None
) -> None:
    results = run(monkeypatch, [first, PEER_NBMA, first], plan=PHASE_2)
    assert failed(results) == []
    assert results[1].observed == "192.168.2.2 via 10.0.0.12, which is at 172.16.2.1"


def test_one_that_is_there_before_any_packet_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed(run(monkeypatch, [PEER, PEER, HUB])) == ["before"]
    assert failed(run(monkeypatch, [PEER_NBMA, PEER_NBMA, None], plan=PHASE_2)) == ["before"]


def test_a_shortcut_that_never_comes_fails_and_nothing_more_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    _, result = run(monkeypatch, [HUB, HUB])
    assert (result.passed, result.observed) == (False, "192.168.2.2 via 10.0.0.1")
    _, result = run(monkeypatch, [None, HUB_NBMA], plan=PHASE_2)
    assert (result.passed, result.observed) == (False, "192.168.2.2 via 10.0.0.12, which is at 172.17.0.1")


def test_a_shortcut_that_stays_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed(run(monkeypatch, [HUB, PEER, PEER])) == ["ended"]
    assert failed(run(monkeypatch, [None, PEER_NBMA, PEER_NBMA], plan=PHASE_2)) == ["ended"]


@pytest.mark.parametrize("straight", [HOPS, HOPS[:1]], ids=["by the hub", "nowhere"])
def test_packets_that_do_not_take_it_fail(monkeypatch: pytest.MonkeyPatch, straight: tuple[str, ...]) -> None:
    assert failed(run(monkeypatch, [HUB, PEER, HUB], straight=straight)) == ["straight"]


@pytest.mark.parametrize("hops", [(), HOPS[:1], (HOPS[0], PEER, HOPS[3])], ids=["no", "one", "direct"])
def test_packets_that_do_not_pass_the_hub_when_it_has_ended_fail(
    monkeypatch: pytest.MonkeyPatch, hops: tuple[str, ...]
) -> None:
    assert failed(run(monkeypatch, [HUB, PEER, HUB], hops=hops)) == ["by the hub"]


def test_a_ping_that_is_lost_when_it_ends_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed(run(monkeypatch, [HUB, PEER, HUB], received=4)) == ["pings"]


def test_with_ipsec_no_ping_may_be_lost_either(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failed(run(monkeypatch, [HUB, PEER, HUB], 4, bundled("ipsec-phase-3"))) == ["pings"]
