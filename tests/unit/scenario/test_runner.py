"""Prove absent, act, prove present: what passes, what fails, and what proves nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path

import pytest

from dmvpn_lab.errors import LabError, UsageError
from dmvpn_lab.faults import base, registry
from dmvpn_lab.scenario import runner
from dmvpn_lab.scenario.timeline import Timeline, verdict_words
from tests.unit.scenario.fake import FakeLab, run, scenario

ENTRY = {"protocol": "10.0.0.12", "nbma": "172.16.2.1", "flags": ["resolved"]}
PING = ("host-1", "ping", "192.168.2.2")
SHORTCUT = """
- trigger: ping 192.168.2.2
  node: host-1
- expect: {entry: nhrp, node: spoke-a, has: {protocol: 10.0.0.12}}
  within: 50ms
"""


def verdicts(timeline: Timeline) -> list[str]:
    return [step.verdict for step in timeline.steps]


def test_what_an_act_causes_passes_with_the_time_since_the_act(lab: FakeLab, tmp_path: Path) -> None:
    lab.tables["spoke-a", "nhrp"] = []
    lab.on[PING] = lambda: lab.tables.update({("spoke-a", "nhrp"): [ENTRY]})
    timeline = run(lab, scenario(tmp_path, SHORTCUT))
    assert timeline.passed
    assert verdicts(timeline) == ["passed", "passed"]
    expected = timeline.steps[1]
    assert expected.observed == "protocol=10.0.0.12"
    assert expected.after_s is not None
    assert 0 <= expected.after_s < 5
    assert expected.deadline_s == 0.05


def test_what_is_so_before_the_act_proves_nothing_and_the_act_is_not_done(
    lab: FakeLab, tmp_path: Path
) -> None:
    lab.tables["spoke-a", "nhrp"] = [ENTRY]
    timeline = run(lab, scenario(tmp_path, SHORTCUT))
    assert verdicts(timeline) == ["not run", "already"]
    assert not timeline.passed
    assert PING not in lab.done
    failure = timeline.failure()
    assert failure is not None
    assert verdict_words(failure) == (
        "step 2 proves nothing: it was so before the act: spoke-a: nhrp entry protocol=10.0.0.12"
        " (protocol=10.0.0.12)"
    )


def test_what_never_comes_fails_with_the_last_observation_and_the_rest_is_not_run(
    lab: FakeLab, tmp_path: Path
) -> None:
    lab.tables["spoke-a", "nhrp"] = [{**ENTRY, "protocol": "10.0.0.1"}]
    timeline = run(lab, scenario(tmp_path, SHORTCUT + "- settle: {ping: host-2, from: host-1}\n"))
    assert verdicts(timeline) == ["passed", "failed", "not run"]
    failure = timeline.failure()
    assert failure is not None
    assert verdict_words(failure).endswith("within 0.05 s; observed: 10.0.0.1")


def test_a_look_that_sends_packets_comes_before_those_that_see_what_it_caused(
    lab: FakeLab, tmp_path: Path
) -> None:
    steps = SHORTCUT + "- expect: {ping: host-2, from: host-1}\n"
    lab.tables["spoke-a", "nhrp"] = []
    ping = ("host-1", "ping", "-n", "-c", "1", "-W", "1", "192.168.2.2")
    lab.exits[ping] = (1, "")
    lab.on[ping] = lambda: lab.tables.update({("spoke-a", "nhrp"): [ENTRY]})
    assert verdicts(run(lab, scenario(tmp_path, steps))) == ["not run", "already", "not run"]


def test_only_events_after_the_act_count(lab: FakeLab, tmp_path: Path) -> None:
    steps = """
- trigger: ping 192.168.2.2
  node: host-1
- expect: {event: registered, node: spoke-a, facts: {nhs: 10.0.0.1}}
  within: 50ms
"""
    lab.tell("registered", "spoke-a", time.time() - 1, nhs="10.0.0.1")
    lab.tell("registered", "spoke-b", time.time() + 1, nhs="10.0.0.1")
    assert verdicts(run(lab, scenario(tmp_path, steps))) == ["passed", "failed"]
    lab.on[PING] = lambda: lab.tell("registered", "spoke-a", time.time() + 0.25, nhs="10.0.0.1")
    timeline = run(lab, scenario(tmp_path, steps))
    assert timeline.passed
    assert timeline.steps[1].after_s == pytest.approx(0.25, abs=0.1)  # the event's own time


def test_a_fact_that_an_event_never_has_is_a_mistake_of_the_file(lab: FakeLab, tmp_path: Path) -> None:
    steps = SHORTCUT + "- absent: {event: registered, facts: {nsh: 10.0.0.1}}\n"
    lab.tables["spoke-a", "nhrp"] = []

    def happen() -> None:
        lab.tables["spoke-a", "nhrp"] = [ENTRY]
        lab.tell("registered", "spoke-a", nhs="10.0.0.1")

    lab.on[PING] = happen
    with pytest.raises(UsageError, match="the event registered has no fact 'nsh'"):
        run(lab, scenario(tmp_path, steps))


def test_absent_fails_as_soon_as_it_is_there(lab: FakeLab, tmp_path: Path) -> None:
    steps = SHORTCUT + "- absent: {event: registered, node: spoke-a}\n  for: 30s\n"
    lab.tables["spoke-a", "nhrp"] = []

    def happen() -> None:
        lab.tables["spoke-a", "nhrp"] = [ENTRY]
        lab.tell("registered", "spoke-a", nhs="10.0.0.1")

    lab.on[PING] = happen
    began = time.monotonic()
    timeline = run(lab, scenario(tmp_path, steps))
    assert verdicts(timeline) == ["passed", "passed", "failed"]
    assert time.monotonic() - began < 10


def test_hold_fails_when_it_is_not_so_once(lab: FakeLab, tmp_path: Path) -> None:
    steps = SHORTCUT + "- hold: {entry: nhrp, node: spoke-a, has: {protocol: 10.0.0.12}}\n  for: 200ms\n"
    lab.tables["spoke-a", "nhrp"] = []
    lab.on[PING] = lambda: lab.tables.update({("spoke-a", "nhrp"): [ENTRY]})
    timeline = run(lab, scenario(tmp_path, steps))
    assert timeline.passed
    assert timeline.steps[2].after_s is not None
    assert timeline.steps[2].after_s >= 0.2
    assert timeline.steps[2].deadline_s == 0.2
    assert all(0 <= (step.so_at_s or 0) - (step.at_s or 0) < 10 for step in timeline.steps)
    looks = iter([[], [ENTRY], [ENTRY], []])
    lab.on[("spoke-a", "nhrp")] = lambda: lab.tables.update({("spoke-a", "nhrp"): next(looks)})
    lab.on[PING] = lambda: None
    timeline = run(lab, scenario(tmp_path, steps))
    assert verdicts(timeline) == ["passed", "passed", "failed"]
    assert "an empty table" in timeline.steps[2].observed


def test_a_command_that_fails_is_a_failed_step_unless_it_may(lab: FakeLab, tmp_path: Path) -> None:
    lab.tables["spoke-a", "nhrp"] = []
    lab.on[PING] = lambda: lab.tables.update({("spoke-a", "nhrp"): [ENTRY]})
    lab.exits[PING] = (1, "100% packet loss")
    timeline = run(lab, scenario(tmp_path, SHORTCUT))
    assert (verdicts(timeline)[0], timeline.steps[0].observed) == ("failed", "exit code 1: 100% packet loss")
    lab.tables["spoke-a", "nhrp"] = []
    may_fail = SHORTCUT.replace("node: host-1", "node: host-1\n  may-fail: true")
    assert run(lab, scenario(tmp_path, may_fail)).passed
    lab.tables["spoke-a", "nhrp"] = []
    lab.exits[PING] = (127, "ping: not found")
    assert verdicts(run(lab, scenario(tmp_path, may_fail))) == ["failed", "not run"]


RESTORED = """
- trigger: ip link set eth2 down
  node: spoke-b
  restore: ip link set eth2 up
- expect: {ping: host-1, from: host-2}
  within: 10ms
"""


@pytest.mark.parametrize("answers", [True, False])
def test_what_a_trigger_did_is_restored_at_the_end_also_after_a_failure(
    lab: FakeLab, tmp_path: Path, answers: bool
) -> None:
    ping = ("host-2", "ping", "-n", "-c", "1", "-W", "1", "192.168.1.2")
    lab.exits[ping] = (1, "")
    if answers:
        lab.on[("spoke-b", "ip", "link", "set", "eth2", "down")] = lambda: lab.exits.pop(ping, None) and None
    said: list[str] = []
    timeline = run(lab, scenario(tmp_path, RESTORED), said)
    assert timeline.passed is answers
    assert lab.done[-1] == ("spoke-b", "ip", "link", "set", "eth2", "up")
    assert said == timeline.undone == ["spoke-b: ip link set eth2 up"]


def test_undo_takes_back_the_newest_and_leaves_nothing_for_the_end(lab: FakeLab, tmp_path: Path) -> None:
    ping = ("host-2", "ping", "-n", "-c", "1", "-W", "1", "192.168.1.2")
    lab.exits[ping] = (1, "")
    lab.on[("spoke-b", "ip", "link", "set", "eth2", "down")] = lambda: lab.exits.pop(ping, None) and None
    steps = RESTORED + "- undo: newest\n- settle: {ping: host-1, from: host-2}\n"
    timeline = run(lab, scenario(tmp_path, steps))
    assert timeline.passed
    assert timeline.undone == []
    assert lab.done.count(("spoke-b", "ip", "link", "set", "eth2", "up")) == 1


def test_an_interrupted_run_takes_back_what_lasts_and_says_so(lab: FakeLab, tmp_path: Path) -> None:
    ping = ("host-2", "ping", "-n", "-c", "1", "-W", "1", "192.168.1.2")
    lab.exits[ping] = (1, "")
    said: list[str] = []
    what = scenario(tmp_path, RESTORED.replace("10ms", "60s"))

    async def interrupted() -> None:
        started = asyncio.Event()
        lab.on[("spoke-b", "ip", "link", "set", "eth2", "down")] = started.set
        task = asyncio.ensure_future(
            runner.run(lab.running, lab.watch, what, lambda _: None, lambda _, detail: said.append(detail))
        )
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert said == ["spoke-b: ip link set eth2 up"]
    assert lab.done[-1] == ("spoke-b", "ip", "link", "set", "eth2", "up")


def test_an_agent_that_does_not_answer_is_seen_and_waited_for(lab: FakeLab, tmp_path: Path) -> None:
    timeline = run(lab, scenario(tmp_path, SHORTCUT))
    assert verdicts(timeline) == ["passed", "failed"]
    assert timeline.steps[1].observed == "spoke-a: its agent closed the connection"


def test_a_lab_with_faults_in_force_is_left_alone(lab: FakeLab, tmp_path: Path) -> None:
    base.record(lab.running, "address-change", "spoke-a", "x", {})
    with pytest.raises(UsageError, match="the lab has faults in force"):
        run(lab, scenario(tmp_path, SHORTCUT))
    assert lab.done == []


def test_a_fault_that_a_cut_off_inject_left_is_undone_too(
    lab: FakeLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone: list[int] = []
    real = registry.kind("address-change")

    async def inject(where: object, node: str, options: object) -> str:
        base.record(lab.running, "address-change", node, "half of it", {})
        raise LabError("cut off in the middle")

    async def undo(where: object, fault: base.Injected) -> tuple[()]:
        undone.append(fault.number)
        base.forget(lab.running, fault.number)
        return ()

    half = dataclasses.replace(real, inject=inject)
    monkeypatch.setattr(registry, "kind", lambda name: half)
    monkeypatch.setattr("dmvpn_lab.faults.undo", undo)
    steps = "- inject: address-change\n  node: spoke-a\n- expect: {event: registered}\n"
    timeline = run(lab, scenario(tmp_path, steps))
    assert verdicts(timeline) == ["failed", "not run"]
    assert (undone, timeline.undone) == ([1], ["undone: half of it"])
