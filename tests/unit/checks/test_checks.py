"""Checks, on what agents and programs say: what passes, what fails, and what is told of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest

from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.checks import ALL, CheckResult, adjacency, base, multicast, reachability, registration
from dmvpn_lab.checks.base import Check, awaited
from dmvpn_lab.checks.ways import path
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.agents import knowing
from tests.unit.backends.recorder import Recorder
from tests.unit.routing.test_ospf import FRR_10_3
from tests.unit.spec.labs import DUAL_HUB, TWO_CLOUDS, bundled, plan

DECK = bundled("hub-and-spoke-ospf")
FULL = FRR_10_3.replace("ExStart", "Full")
Agents = dict[str, dict[str, Any]]


def run(check: Check, of: Plan, recorder: Recorder, agents: Agents | None = None) -> list[CheckResult]:
    lab = RunningLab(of, recorder)

    async def results() -> list[CheckResult]:
        async with knowing(recorder, agents or {}):
            return [result async for result in check.run(lab, Watch(lab))]

    return asyncio.run(results())


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of minutes are for labs."""
    monkeypatch.setattr(registration, "DEADLINE_S", 0.0)
    monkeypatch.setattr(multicast, "REGISTRATION_DEADLINE_S", 0.0)
    monkeypatch.setattr("dmvpn_lab.routing.ospf.Ospf.deadline_s", lambda self, cloud: 0.0)


def test_checks_are_in_the_order_in_which_one_rests_on_the_other() -> None:
    names = [
        "encryption", "registration", "multicast", "adjacency", "resolution", "shortcut", "reachability",
    ]  # fmt: skip
    assert [check.name for check in ALL] == names


def wait(observations: list[tuple[bool, str]], deadline_s: float) -> CheckResult:
    async def one() -> CheckResult:
        async def observe() -> tuple[bool, str]:
            return observations.pop(0) if len(observations) > 1 else observations[0]

        watch = Watch(RunningLab(DECK, Recorder()))
        return await awaited("name", "node", "expected", observe, watch, deadline_s)

    return asyncio.run(one())


def test_what_is_as_expected_at_once_waits_for_nothing() -> None:
    result = wait([(True, "there")], 60)
    assert result == CheckResult("name", "node", True, "expected", "there", result.waited_s)
    assert result.waited_s < 1


def test_it_looks_again_until_it_is_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "STEP_S", 0.01)
    assert wait([(False, "not yet"), (False, "nearly"), (True, "there")], 60).observed == "there"


def test_at_the_deadline_the_last_observation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "STEP_S", 0.01)
    began = time.monotonic()
    result = wait([(False, "first"), (False, "last")], 0.05)
    assert (result.passed, result.observed) == (False, "last")
    assert 0.05 <= time.monotonic() - began < 5
    assert result.waited_s >= 0.05


# --- registration -----------------------------------------------------------------------------------


def hub_entry(**changed: Any) -> dict[str, Any]:
    entry = {"interface": "tunnel0", "protocol": "10.0.0.11", "nbma": "172.16.1.1",
             "flags": ["multicast", "registered"], "holding_time_s": 3600}  # fmt: skip
    return entry | changed


def registered(recorder: Recorder, *entries: dict[str, Any], nbma: str | None = "172.16.1.1") -> CheckResult:
    """The result for spoke-a."""
    tunnel = {"interface": "tunnel0", "nbma": nbma}
    agents: Agents = {name: {"status": {"tunnels": [tunnel]}} for name in ("spoke-a", "spoke-b")}
    agents["hub"] = {"nhrp": list(entries)}
    return run(registration.Registration(), DECK, recorder, agents)[0]


def test_an_entry_with_the_present_address_holding_time_and_flags_passes(recorder: Recorder) -> None:
    result = registered(recorder, hub_entry())
    assert result.passed
    assert result.expected == "10.0.0.11 -> spoke-a's NBMA address (hold 3600, multicast, registered)"
    assert result.observed == "10.0.0.11 -> 172.16.1.1 (hold 3600, multicast, registered)"


@pytest.mark.parametrize(
    "changed",
    [
        {"nbma": "172.16.1.9"},
        {"holding_time_s": 7200},
        {"flags": ["registered"]},
        {"flags": ["multicast", "registered", "unique"]},
        {"interface": "tunnel1"},
    ],
)
def test_an_entry_that_differs_in_anything_fails(recorder: Recorder, changed: dict[str, Any]) -> None:
    assert registered(recorder, hub_entry(**changed)).passed is False


def test_no_entry_and_no_address_fail(recorder: Recorder) -> None:
    assert registered(recorder).observed == "no entry"
    assert registered(recorder, hub_entry(protocol="10.0.0.12")).observed == "no entry"
    assert registered(recorder, hub_entry(), nbma=None).passed is False


def test_a_unique_cloud_wants_the_flag(recorder: Recorder) -> None:
    unique = plan(DUAL_HUB.replace("unique: false", "unique: true"))
    status = {"status": {"tunnels": [{"interface": "tunnel0", "nbma": "172.16.1.1"}]}}
    agents: Agents = {"hub-1": {"nhrp": []}, "hub-2": {"nhrp": []}, "spoke-a": status, "spoke-b": status}
    results = run(registration.Registration(), unique, recorder, agents)
    assert len(results) == 4, "each spoke at each hub"
    assert all("unique" in result.expected for result in results)


# --- multicast --------------------------------------------------------------------------------------

PROBE = """
import json, sys
print("ready", flush=True)
sys.stdin.readline()
print(sys.argv[1], flush=True)
"""
HEARD = {"hub": {"10.0.0.11": 5, "10.0.0.12": 5}, "spoke-a": {"10.0.0.1": 5}, "spoke-b": {"10.0.0.1": 5}}


def exchanged(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder, heard: Any
) -> dict[tuple[str, str], CheckResult]:
    """(Receiver, expected) -> result, where each router's probe hears this."""
    import json

    def enter(self: Recorder, lab: str, node: str, argv: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", PROBE, json.dumps(heard[node])]

    monkeypatch.setattr(Recorder, "enter_argv", enter)
    results = run(multicast.Multicast(), DECK, recorder, {"hub": {"nhrp": []}})
    return {(result.node, result.expected): result for result in results}


def test_each_direction_is_counted_at_its_receiver(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    results = exchanged(monkeypatch, recorder, HEARD)
    assert set(results) == {
        ("spoke-a", "5 datagrams from hub"), ("hub", "5 datagrams from spoke-a"),
        ("spoke-b", "5 datagrams from hub"), ("hub", "5 datagrams from spoke-b"),
    }  # fmt: skip
    assert all(result.passed for result in results.values())


@pytest.mark.parametrize("count", [0, 4, 6, 10])
def test_a_copy_too_few_or_too_many_fails_that_direction_alone(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder, count: int
) -> None:
    results = exchanged(monkeypatch, recorder, HEARD | {"spoke-b": {"10.0.0.1": count}})
    failed = [result for result in results.values() if not result.passed]
    assert [(r.node, r.expected, r.observed) for r in failed] == [
        ("spoke-b", "5 datagrams from hub", f"{count} received")
    ]


# --- adjacency --------------------------------------------------------------------------------------


def neighbours(recorder: Recorder, hub: str, spoke: str) -> list[CheckResult]:
    recorder.answer = lambda node, argv: ExecResult(tuple(argv), 0, hub if node == "hub" else spoke, "")
    return run(adjacency.AdjacencyCheck(), DECK, recorder)


def test_adjacency_is_looked_at_on_both_ends(recorder: Recorder) -> None:
    results = neighbours(recorder, FULL, FULL.replace("10.0.0.11", "10.0.0.1"))
    assert [(r.node, r.passed, r.observed) for r in results] == [
        ("hub", True, "10.0.0.11 Full"), ("spoke-a", True, "10.0.0.1 Full"),
        ("hub", True, "10.0.0.12 Full"), ("spoke-b", True, "10.0.0.1 Full"),
    ]  # fmt: skip


def test_a_neighbour_that_is_not_full_or_not_there_fails(recorder: Recorder) -> None:
    results = neighbours(recorder, FRR_10_3, "{}")
    assert [(r.node, r.passed, r.observed) for r in results] == [
        ("hub", True, "10.0.0.11 Full"), ("spoke-a", False, "no such neighbour"),
        ("hub", False, "10.0.0.12 ExStart"), ("spoke-b", False, "no such neighbour"),
    ]  # fmt: skip


def test_a_daemon_that_does_not_answer_fails_with_what_was_said(recorder: Recorder) -> None:
    said = "Exiting: failed to connect to any daemons.\n"
    recorder.answer = lambda node, argv: ExecResult(tuple(argv), 1, "", said)
    results = run(adjacency.AdjacencyCheck(), DECK, recorder)
    assert {(r.passed, r.observed) for r in results} == {(False, said.strip())}


def test_a_cloud_without_routing_is_not_looked_at(recorder: Recorder) -> None:
    none = plan(TWO_CLOUDS.replace("{hello: 2, dead: 9}", "{protocol: none}"))
    assert run(adjacency.AdjacencyCheck(), none, recorder) == []
    assert run(reachability.Reachability(), none, recorder) == []
    assert recorder.done == []


# --- reachability -----------------------------------------------------------------------------------


def hops(source: str, target: str) -> list[str]:
    cloud = DECK.cloud("dmvpn")
    near, far = (
        next((n, t) for n in DECK.routers() for t in n.tunnels if n.name == name) for name in (source, target)
    )
    return [str(hop) for hop in path(DECK, cloud, near, far)]


TRACE = """\
traceroute to {target} ({target}), 8 hops max, 60 byte packets
 1  {a}  0.311 ms
 2  {b}  1.702 ms
 3  *
 4  {target}  2.100 ms
"""


def test_another_path_fails_and_is_told(recorder: Recorder) -> None:
    def answer(node: str, argv: Sequence[str]) -> ExecResult:
        text = TRACE.format(target=argv[-1], a="192.168.1.1", b="10.0.0.1") if argv[0] == "traceroute" else ""
        return ExecResult(tuple(argv), 0, text, "")

    recorder.answer = answer
    results = run(reachability.Reachability(), DECK, recorder)
    one = next(r for r in results if r.expected.startswith("host-2") and r.node == "host-1")
    assert one.passed is False
    assert one.expected == "host-2 by 192.168.1.1 > 10.0.0.1 > 10.0.0.12 > 192.168.2.2"
    assert one.observed == "192.168.1.1 > 10.0.0.1 > * > 192.168.2.2"


def test_the_right_path_passes(recorder: Recorder) -> None:
    routers = {"host-0": "hub", "host-1": "spoke-a", "host-2": "spoke-b"}
    hosts = {
        str(DECK.node(host).interfaces[0].address).partition("/")[0]: router
        for host, router in routers.items()
    }

    def answer(node: str, argv: Sequence[str]) -> ExecResult:
        seen = hops(routers[node], hosts[argv[-1]])
        lines = [f" {i}  {hop}  1.0 ms" for i, hop in enumerate(seen, 1)]
        return ExecResult(tuple(argv), 0, "\n".join(["traceroute to x", *lines]), "")

    recorder.answer = answer
    results = run(reachability.Reachability(), DECK, recorder)
    assert (len(results), {result.passed for result in results}) == (6, {True})


def test_a_host_that_does_not_answer_fails(recorder: Recorder) -> None:
    recorder.answer = lambda node, argv: ExecResult(tuple(argv), 1, "", "")
    results = run(reachability.Reachability(), DECK, recorder)
    assert {result.passed for result in results} == {False}
    assert results[0].observed == "192.168.0.2 does not answer"
    assert not [done for done in recorder.done if done[1] == "traceroute"]
