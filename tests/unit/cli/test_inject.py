"""`inject`: what it prints, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager

import pytest

from dmvpn_lab import convergence
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.convergence import Step
from dmvpn_lab.faults.base import Line
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.agents import ACCEPTED, beside, saying
from tests.unit.backends.recorder import Recorder
from tests.unit.cli.conftest import Run

KINDS = [
    "address-change", "agent-kill", "clear-nhrp", "expire", "hub-restart", "ike-restart", "impair",
    "link-down", "nat-rebind", "rekey", "sa-delete",
]  # fmt: skip


def agents(plan: Plan, recorder: Recorder) -> AbstractContextManager[None]:
    """Something that accepts a subscription in each router."""
    return beside(saying(recorder, {router.name: (ACCEPTED,) for router in plan.routers()}))


@pytest.fixture
def recovers(monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    """The lab gets over it; the test may say what is found afterwards."""
    found = [CheckResult("cache", "hub", True, "172.16.1.2", "172.16.1.2", 0.0)]

    async def recovery(lab: object, watch: object, line: Line) -> AsyncIterator[Step]:
        for name, after_s in (("registered", 0.21), ("multicast", 0.21), ("adjacent", 3.5)):
            yield Step(line.router, "tunnel0", name, after_s)

    async def moved(lab: object, line: object) -> list[CheckResult]:
        return found

    monkeypatch.setattr(convergence, "recovery", recovery)
    monkeypatch.setattr(convergence, "moved", moved)
    return found


@pytest.mark.usefixtures("recovers")
def test_the_times_are_printed_as_a_table(run: Run, deck: Plan, recorder: Recorder) -> None:
    with agents(deck, recorder):
        said = run("inject", "address-change", "spoke-a")
    assert said.code == 0, said.err
    rows = [line.split() for line in said.out.splitlines()]
    assert ["spoke-a", "tunnel0", "registered", "0.210", "s"] in rows
    assert ["spoke-a", "tunnel0", "adjacent", "3.500", "s"] in rows
    assert "hub-and-spoke: verified, 1 checks passed" in said.out
    assert "injected: spoke-a 172.16.1.1/24 -> 172.16.1.2/24" in said.err


@pytest.mark.usefixtures("recovers")
def test_as_json_there_is_one_document_and_nothing_else(run: Run, deck: Plan, recorder: Recorder) -> None:
    with agents(deck, recorder):
        said = run("inject", "address-change", "spoke-a", "--swap", "spoke-b", "--json")
    document = json.loads(said.out)
    assert (said.code, said.err, document["passed"]) == (0, "", True)
    assert document["steps"][0] == {
        "node": "spoke-a", "tunnel": "tunnel0", "step": "registered", "after_s": 0.21,
    }  # fmt: skip
    assert {step["node"] for step in document["steps"]} == {"spoke-a", "spoke-b"}
    assert document["checks"][0]["name"] == "cache"


def test_what_is_still_at_the_old_address_is_a_failed_check(
    run: Run, deck: Plan, recorder: Recorder, recovers: list[CheckResult]
) -> None:
    recovers.append(CheckResult("neighbour", "hub", False, "172.16.1.2", "172.16.1.1", 0.0))
    with agents(deck, recorder):
        said = run("inject", "address-change", "spoke-a")
    assert said.code == 1
    assert "1 of 2 checks failed" in said.out


@pytest.mark.usefixtures("recovers")
def test_faults_are_listed_and_undone_the_newest_first(run: Run, deck: Plan, recorder: Recorder) -> None:
    with agents(deck, recorder):
        run("inject", "address-change", "spoke-a")
        run("inject", "address-change", "spoke-b", "--subnet")
        listed = json.loads(run("inject", "list", "--json").out)
        assert listed["kinds"] == KINDS
        assert [(f["number"], f["node"], f["what"]) for f in listed["in_force"]] == [
            (1, "spoke-a", "spoke-a 172.16.1.1/24 -> 172.16.1.2/24"),
            (2, "spoke-b", "spoke-b 172.16.2.1/24 -> 172.16.3.1/24"),
        ]
        assert "undone: spoke-b" in run("inject", "undo").err
        assert run("inject", "undo", "2").code == 2
        assert "undone: spoke-a" in run("inject", "undo", "1").err
    table = run("inject", "list").out
    assert f"kinds: {', '.join(KINDS)}" in table
    assert "spoke-a" not in table


@pytest.mark.usefixtures("recovers")
def test_all_are_undone_at_once(run: Run, deck: Plan, recorder: Recorder) -> None:
    with agents(deck, recorder):
        run("inject", "address-change", "spoke-a")
        run("inject", "address-change", "spoke-a", "172.16.1.99/24")
        said = run("inject", "undo", "--all")
    assert said.code == 0
    undone = [line.partition("undone: ")[2] for line in said.err.splitlines() if "undone: " in line]
    assert undone == ["spoke-a 172.16.1.2/24 -> 172.16.1.99/24", "spoke-a 172.16.1.1/24 -> 172.16.1.2/24"]
    assert json.loads(run("inject", "list", "--json").out)["in_force"] == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("agent-kill", "host-1"), "host-1 is no router"),
        (("expire", "isp"), "isp is no router"),
        (("sa-delete", "spoke-a"), "spoke-a's tunnels have no IPsec"),
    ],
)
def test_a_node_to_which_it_cannot_be_done_is_a_mistake_in_the_command(
    run: Run, deck: Plan, recorder: Recorder, words: tuple[str, ...], told: str
) -> None:
    with agents(deck, recorder):
        said = run("inject", *words)
    assert (said.code, said.err.splitlines()[0]) == (2, f"dmvpn-lab: {told}")
    assert "what to do" in said.err
