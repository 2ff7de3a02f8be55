"""Recovery from an address change: times between events, and what must have moved."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from ipaddress import IPv4Interface
from typing import Any

import pytest

from dmvpn_lab import convergence
from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.convergence import Step, moved, recovery
from dmvpn_lab.errors import LabError
from dmvpn_lab.faults.base import Line
from dmvpn_lab.running import Event, RunningLab, Watch
from tests.unit.agents import knowing
from tests.unit.backends.recorder import Recorder
from tests.unit.routing.test_ospf import FRR_10_3
from tests.unit.spec.labs import bundled

DECK = bundled("hub-and-spoke-ospf")
NEW = Line("spoke-a", IPv4Interface("172.16.1.2/24"), IPv4Interface("172.16.1.254/24"))
ZERO = 1764000000.0
FULL = FRR_10_3.replace("ExStart", "Full")
NOTICED = {"event": "nbma-changed", "node": "spoke-a", "interface": "tunnel0", "old": "172.16.1.1",
           "new": "172.16.1.2", "at": ZERO}  # fmt: skip
BOUND = {"event": "peer-registered", "node": "hub", "interface": "tunnel0", "protocol": "10.0.0.11",
         "nbma": "172.16.1.2", "at": ZERO + 0.25}  # fmt: skip
SET = {"event": "multicast-changed", "node": "hub", "interface": "tunnel0",
       "added": ["172.16.1.2"], "removed": ["172.16.1.1"], "peers": 2, "at": ZERO + 0.375}  # fmt: skip
HUB_SET = [{"interface": "tunnel0", "nbma": nbma, "origin": "dynamic", "packets": 0}
           for nbma in ("172.16.1.2", "172.16.2.1")]  # fmt: skip


def entry(protocol: str, nbma: str) -> dict[str, Any]:
    return {"protocol": protocol, "nbma": nbma, "type": "dynamic", "interface": "tunnel0"}


HUB_CACHE = [entry("10.0.0.11", "172.16.1.2"), entry("10.0.0.12", "172.16.2.1")]


def answer(node: str, argv: Sequence[str]) -> ExecResult:
    """All is well: neighbours are full, hosts answer, the kernel's neighbour has moved."""
    if argv[0] == "vtysh":
        printed = FULL.replace("10.0.0.11", "10.0.0.1") if node == "spoke-a" else FULL
        return ExecResult(tuple(argv), 0, printed, "")
    if argv[:2] == ("ip", "neigh"):
        return ExecResult(tuple(argv), 0, "10.0.0.11 lladdr 172.16.1.2 PERMANENT\n", "")
    return ExecResult(tuple(argv), 0, "", "")


def follow(recorder: Recorder, *seen: Event, peers: Sequence[object] = HUB_SET) -> list[Step]:
    lab = RunningLab(DECK, recorder)

    async def steps() -> list[Step]:
        async with knowing(recorder, {"hub": {"multicast": list(peers)}}):
            return [step async for step in recovery(lab, Watch(lab, list(seen)), NEW)]

    return asyncio.run(steps())


def look(recorder: Recorder, cache: list[Any], peers: list[Any]) -> dict[str, CheckResult]:
    lab = RunningLab(DECK, recorder)

    async def results() -> list[CheckResult]:
        async with knowing(recorder, {"hub": {"nhrp": cache, "multicast": peers}}):
            return await moved(lab, NEW)

    return {result.name: result for result in asyncio.run(results())}


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(answer=answer)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convergence, "LEASE_DEADLINE_S", 0.05)
    monkeypatch.setattr(convergence, "REGISTER_DEADLINE_S", 0.05)


def test_times_of_agents_are_those_of_their_events(recorder: Recorder) -> None:
    steps = follow(recorder, NOTICED, BOUND, SET)
    assert steps[:2] == [
        Step("spoke-a", "tunnel0", "registered", 0.25), Step("spoke-a", "tunnel0", "multicast", 0.375),
    ]  # fmt: skip
    assert [step.step for step in steps] == ["registered", "multicast", "adjacent", "reachable"]


def test_what_is_seen_from_outside_is_timed_by_the_same_clock(recorder: Recorder) -> None:
    now = time.time()
    events = [{**NOTICED, "at": now}, {**BOUND, "at": now + 0.001}, {**SET, "at": now + 0.002}]
    steps = follow(recorder, *events)
    assert 0 <= steps[2].after_s <= steps[3].after_s < 10
    assert ("host-0", "ping", "-n", "-c", "1", "-W", "1", "192.168.1.2") in recorder.done


def test_events_of_the_old_address_and_of_others_do_not_count(recorder: Recorder) -> None:
    noise = [
        {**NOTICED, "new": "172.16.1.1", "at": ZERO - 9},
        {**NOTICED, "node": "spoke-b", "at": ZERO - 8},
        {**NOTICED, "interface": "tunnel1", "at": ZERO - 7},
        {**BOUND, "nbma": "172.16.1.1", "at": ZERO - 6},
        {**BOUND, "protocol": "10.0.0.12", "at": ZERO - 5},
        {**SET, "added": ["172.16.1.1"], "at": ZERO - 4},
        {**SET, "interface": "tunnel1", "at": ZERO - 3},
    ]
    assert [step.after_s for step in follow(recorder, *noise, NOTICED, BOUND, SET)[:2]] == [0.25, 0.375]


def test_a_tunnel_that_came_up_with_the_new_address_has_noticed_it(recorder: Recorder) -> None:
    up = {"event": "tunnel-up", "node": "spoke-a", "interface": "tunnel0", "nbma": "172.16.1.2", "at": ZERO}
    assert follow(recorder, up, BOUND, SET)[0].after_s == 0.25


def test_a_multicast_set_that_held_the_address_already_needs_no_event(recorder: Recorder) -> None:
    steps = follow(recorder, NOTICED, BOUND)
    assert [(step.step, step.after_s) for step in steps[:2]] == [("registered", 0.25), ("multicast", 0.25)]


def test_a_spoke_without_multicast_is_an_error(recorder: Recorder) -> None:
    with pytest.raises(LabError, match=r"hub does not send multicast to 172\.16\.1\.2"):
        follow(recorder, NOTICED, BOUND, peers=())


def test_a_lease_that_never_comes_is_an_error_with_where_to_look(recorder: Recorder) -> None:
    with pytest.raises(LabError, match=r"spoke-a got no lease of 172\.16\.1\.2") as caught:
        follow(recorder, BOUND)
    assert "dhcpcd.log" in (caught.value.hint or "")


def test_a_registration_that_never_comes_is_an_error(recorder: Recorder) -> None:
    with pytest.raises(LabError, match=r"hub heard no registration of 10\.0\.0\.11 at 172\.16\.1\.2"):
        follow(recorder, NOTICED)


def test_a_refused_registration_is_an_error_with_the_reason(recorder: Recorder) -> None:
    refused = {**BOUND, "event": "peer-refused", "code": 14, "meaning": "unique address registered already"}
    with pytest.raises(LabError, match="hub refused spoke-a: code 14, unique address") as caught:
        follow(recorder, NOTICED, refused)
    assert "unique: false" in (caught.value.hint or "")


def test_all_that_has_moved_is_told_to_have_moved(recorder: Recorder) -> None:
    results = look(recorder, HUB_CACHE, HUB_SET)
    assert {name: (r.passed, r.expected, r.observed) for name, r in results.items()} == {
        "cache": (True, "172.16.1.2", "172.16.1.2"),
        "multicast": (True, "172.16.1.2, 172.16.2.1", "172.16.1.2, 172.16.2.1"),
        "neighbour": (True, "172.16.1.2", "172.16.1.2"),
    }


def test_an_entry_that_is_still_at_the_old_address_fails(recorder: Recorder) -> None:
    stale = [entry("10.0.0.11", "172.16.1.1"), HUB_CACHE[1]]
    results = look(recorder, stale, HUB_SET)
    assert (results["cache"].passed, results["cache"].observed) == (False, "172.16.1.1")
    assert look(recorder, [HUB_CACHE[1]], HUB_SET)["cache"].observed == "none"


def test_an_old_peer_that_still_gets_multicast_fails(recorder: Recorder) -> None:
    old = {"interface": "tunnel0", "nbma": "172.16.1.1", "origin": "dynamic", "packets": 0}
    results = look(recorder, HUB_CACHE, [*HUB_SET, old])
    assert (results["multicast"].passed, results["cache"].passed) == (False, True)


@pytest.mark.parametrize("shown", ["", "10.0.0.11 lladdr 172.16.1.1 PERMANENT\n", "10.0.0.11 FAILED\n"])
def test_a_neighbour_that_has_not_moved_fails(recorder: Recorder, shown: str) -> None:
    recorder.answer = lambda node, argv: ExecResult(tuple(argv), 0, shown, "")
    assert look(recorder, HUB_CACHE, HUB_SET)["neighbour"].passed is False
