"""`up`, `down`, `inspect`, `verify`: exit codes, texts and JSON shapes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dmvpn_lab import controller
from dmvpn_lab.backends import state
from dmvpn_lab.backends.base import NodeState
from dmvpn_lab.backends.state import LabFolder, running_labs
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.cli import diagnose, output
from dmvpn_lab.diagnosis import Finding
from dmvpn_lab.errors import LabError
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.part import part
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.backends.recorder import Recorder
from tests.unit.cli.conftest import Run, remembered

GOOD = CheckResult("registration", "spoke-a", True, "10.0.0.11 -> spoke-a's", "10.0.0.11 -> 172.16.1.1", 0.25)
BAD = CheckResult("reachability", "host-1", False, "host-2 by 192.168.1.1", "* > [red] \x1b[31m<&>", 40.0)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[CheckResult]:
    """What the checks find."""
    results = [GOOD]

    async def verify(lab: object) -> AsyncIterator[CheckResult]:
        for each in results:
            yield each

    async def find(lab: object) -> list[Finding]:
        whole = Finding("dmvpn", "spoke-b", "hub", "whole", "every link holds", "", "it will not")
        return [Finding("dmvpn", "spoke-a", "hub", "route", "hub sends it out of eth1", "ip route"), whole]

    monkeypatch.setattr(controller, "verify", verify)
    monkeypatch.setattr(diagnose, "find", find)
    return results


def test_a_verified_lab_is_exit_code_0_and_a_table(run: Run, deck: Plan, found: list[CheckResult]) -> None:
    said = run("verify")
    assert said.code == 0
    assert said.out.splitlines()[0].split() == ["check", "node", "expected", "observed", "waited"]
    assert said.out.splitlines()[1].startswith("pass  registration  spoke-a  10.0.0.11 -> spoke-a's")
    assert said.out.splitlines()[-1] == "hub-and-spoke: verified, 1 checks passed"
    assert "registration: spoke-a: passed, 10.0.0.11 -> 172.16.1.1" in said.err


def test_a_part_of_a_lab_is_not_told_as_the_whole(
    found: list[CheckResult], capsys: pytest.CaptureFixture[str]
) -> None:
    deck = planner.read(controller.find_topology("hub-and-spoke"))
    output.print_results(part(deck, ["hub", "spoke-a"]), found)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "hub-and-spoke without spoke-b, host-2: verified, 1 checks passed"


def test_a_failed_check_is_exit_code_1_and_is_counted(run: Run, deck: Plan, found: list[CheckResult]) -> None:
    found.append(BAD)
    said = run("verify")
    assert said.code == 1
    assert said.out.splitlines()[-4:] == [
        "hub-and-spoke: 1 of 2 checks failed",
        "spoke-a - hub (dmvpn): first broken link: route",
        "    evidence: hub sends it out of eth1",
        "    look at:  ip route",
    ]
    assert any(line.startswith("FAIL  reachability") for line in said.out.splitlines())


def test_diagnose_names_the_first_broken_link_and_warns_of_what_will_break_a_whole_one(
    run: Run, deck: Plan, found: list[CheckResult]
) -> None:
    said = run("diagnose")
    assert said.code == 1
    assert said.out.splitlines() == [
        "spoke-a - hub (dmvpn): first broken link: route",
        "    evidence: hub sends it out of eth1",
        "    look at:  ip route",
        "spoke-b - hub (dmvpn): every link holds",
        "    but: it will not",
    ]


def test_what_a_node_printed_is_never_taken_for_markup(
    run: Run, deck: Plan, found: list[CheckResult]
) -> None:
    found.append(BAD)
    assert "* > [red]" in run("verify").out


def test_the_results_as_json_are_one_document(run: Run, deck: Plan, found: list[CheckResult]) -> None:
    found.append(BAD)
    said = run("verify", "--json")
    assert said.code == 1
    assert json.loads(said.out) == {
        "lab": "hub-and-spoke",
        "left_out": [],
        "passed": False,
        "checks": [
            {
                "name": each.name,
                "node": each.node,
                "passed": each.passed,
                "expected": each.expected,
                "observed": each.observed,
                "waited_s": each.waited_s,
            }
            for each in (GOOD, BAD)
        ],
    }


def test_the_results_as_junit_are_a_case_for_each_check(
    run: Run, deck: Plan, found: list[CheckResult], tmp_path: Path
) -> None:
    found.append(BAD)
    assert run("verify", "--junit", str(tmp_path / "r.xml")).code == 1
    suite = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert (suite.tag, suite.get("name")) == ("testsuite", "hub-and-spoke")
    assert (suite.get("tests"), suite.get("failures"), suite.get("time")) == ("2", "1", "40.25")
    good, bad = suite.findall("testcase")
    assert (good.get("classname"), good.find("failure")) == ("hub-and-spoke.spoke-a", None)
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == "observed: * > [red] \N{REPLACEMENT CHARACTER}[31m<&>"
    assert [path.name for path in tmp_path.glob("*r.xml*")] == ["r.xml"]


def test_a_junit_file_that_cannot_be_written_leaves_the_old_one_and_no_part(
    run: Run, deck: Plan, found: list[CheckResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "r.xml").write_text("old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    said = run("verify", "--junit", str(tmp_path / "r.xml"))
    assert said.code == 3
    assert f"cannot write {tmp_path}/r.xml: No space left on device" in said.err
    assert (tmp_path / "r.xml").read_text() == "old"
    assert list(tmp_path.glob(".r.xml*")) == []


def test_a_check_that_breaks_off_writes_no_junit_file(
    run: Run, deck: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def breaks(lab: object) -> AsyncIterator[CheckResult]:
        yield GOOD
        raise LabError("hub is dead", hint="dmvpn-lab up")

    monkeypatch.setattr(controller, "verify", breaks)
    said = run("verify", "--junit", str(tmp_path / "r.xml"))
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith("dmvpn-lab: hub is dead\n  what to do: dmvpn-lab up\n")
    assert list(tmp_path.glob("*r.xml*")) == []


def test_up_starts_the_decks_lab_and_verifies_it(
    run: Run, recorder: Recorder, found: list[CheckResult]
) -> None:
    said = run("up")
    assert said.code == 0
    assert ("up", "hub-and-spoke") in recorder.done
    assert "up: hub-and-spoke runs" in said.err
    assert said.out.endswith("hub-and-spoke: verified, 1 checks passed\n")
    assert running_labs() == ["hub-and-spoke"]


def test_up_on_a_running_lab_only_verifies(run: Run, recorder: Recorder, found: list[CheckResult]) -> None:
    run("up")
    recorder.done.clear()
    said = run("up", "hub-and-spoke", "--json")
    assert recorder.done == []
    assert "up: hub-and-spoke ran already" in said.err
    assert json.loads(said.out)["passed"] is True


def test_up_on_a_changed_topology_starts_it_anew(run: Run, recorder: Recorder, tmp_path: Path) -> None:
    text = (controller.bundled_topologies() / "phase-1.yml").read_text()
    path = tmp_path / "mine.yml"
    path.write_text(text)
    run("up", str(path), "--no-verify")
    path.write_text(text.replace("key: 1", "key: 2"))
    recorder.done.clear()
    said = run("up", str(path), "--no-verify")
    assert recorder.done == [("down", "phase-1"), ("up", "phase-1")]
    assert "restart: " in said.err


def test_up_on_a_lab_with_a_dead_node_starts_it_anew(run: Run, recorder: Recorder) -> None:
    run("up", "--no-verify")
    recorder.states = (NodeState("hub", False, 1), *recorder.states[1:])
    recorder.done.clear()
    assert run("up", "--no-verify").code == 0
    assert recorder.done == [("down", "hub-and-spoke"), ("up", "hub-and-spoke")]


def test_up_after_a_start_that_was_cut_off_starts_it_anew(run: Run, recorder: Recorder) -> None:
    LabFolder("phase-1").create()
    said = run("up", "phase-1", "--no-verify")
    assert (said.code, said.out) == (0, "")
    assert recorder.done == [("down", "phase-1"), ("up", "phase-1")]
    assert "restart: an earlier start was cut off" in said.err


def test_down_of_a_name_that_no_lab_has_says_so_leaves_nothing_and_is_no_error(
    run: Run, deck: Plan, recorder: Recorder
) -> None:
    said = run("down", "hub-and-spook")
    assert (said.code, said.out) == (0, "hub-and-spook: there is no such lab; running: hub-and-spoke\n")
    assert run("down", "hub-and-spoke").out == "hub-and-spoke: removed\n"
    said = run("down", "hub-and-spoke")
    assert (said.code, said.out) == (0, "hub-and-spoke: there is no such lab; running: none\n")
    assert [path for path in state.LABS.parent.rglob("*") if path.is_file()] == []


def test_down_takes_the_only_lab_when_none_is_named(run: Run, deck: Plan, recorder: Recorder) -> None:
    assert run("down").out.startswith("hub-and-spoke: ")
    assert recorder.done == [("down", "hub-and-spoke")]


def test_down_takes_a_lab_whose_start_was_cut_off(run: Run, recorder: Recorder) -> None:
    LabFolder("half").create()
    assert run("down").code == 0
    assert recorder.done == [("down", "half")]


def test_down_all_takes_each_whatever_its_state(run: Run, deck: Plan, recorder: Recorder) -> None:
    LabFolder("half").create()
    assert run("down", "--all").code == 0
    assert recorder.done == [("down", "half"), ("down", "hub-and-spoke")]


def test_down_all_without_a_lab_is_fine(run: Run) -> None:
    said = run("down", "--all")
    assert (said.code, said.out) == (0, "no lab is running\n")


def test_inspect_lists_each_lab_and_what_state_its_nodes_are_in(
    run: Run, deck: Plan, recorder: Recorder
) -> None:
    LabFolder("half").create()
    recorder.states = tuple(NodeState(node.name, node.name != "hub", 7) for node in deck.nodes)
    half, lab = json.loads(run("inspect", "--json").out)
    assert (half["lab"], half["nodes"]) == ("half", [])
    assert half["state"] == "lab half did not finish starting"
    assert (lab["lab"], lab["state"]) == ("hub-and-spoke", "damaged")
    hub, spoke = lab["nodes"][:2]
    assert hub == {
        "name": "hub",
        "kind": "router",
        "running": False,
        "pid": 7,
        "addresses": ["eth1 172.17.0.1/24", "eth2 192.168.0.1/24", "tunnel0 10.0.0.1/24"],
    }
    assert spoke["addresses"][0] == "eth1 dhcp"
    table = run("inspect").out
    assert "hub-and-spoke  (damaged)" in table
    assert any(line.split()[:3] == ["hub", "router", "dead"] for line in table.splitlines())


def test_a_whole_lab_is_running(run: Run, deck: Plan, recorder: Recorder) -> None:
    recorder.states = tuple(NodeState(node.name, True, 7) for node in deck.nodes)
    assert json.loads(run("inspect", "--json").out)[0]["state"] == "running"


def test_inspect_without_a_lab_says_so(run: Run) -> None:
    assert run("inspect").out == "no lab is running\n"
    assert json.loads(run("inspect", "--json").out) == []


def test_two_labs_are_told_apart_by_name(run: Run, deck: Plan, found: list[CheckResult]) -> None:
    remembered("phase-1")
    assert run("verify", "--lab", "phase-1").out.endswith("phase-1: verified, 1 checks passed\n")
