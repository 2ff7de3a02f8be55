"""`run`: what it prints and writes, and its exit codes; the lab is a fake one, the runner is not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dmvpn_lab import __main__, controller
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.cli import run as command
from dmvpn_lab.running import Watch
from dmvpn_lab.scenario import load
from tests.unit.cli.conftest import Run
from tests.unit.scenario.fake import FakeLab

ENTRY = {"protocol": "10.0.0.12", "nbma": "172.16.2.1", "flags": ["resolved"]}
FILE = """
scenario: mine
title: One of mine
topology: hub-and-spoke
steps:
  - trigger: ping 192.168.2.2
    node: host-1
  - expect: {entry: nhrp, node: spoke-a, has: {protocol: 10.0.0.12}}
    within: 50ms
  - absent: {event: registered}
"""


@pytest.fixture
def lab(run: Run, monkeypatch: pytest.MonkeyPatch) -> FakeLab:
    """What `up` brings up."""
    made = FakeLab(tables={("spoke-a", "nhrp"): []})
    LabFolder(made.plan.lab).create()
    made.on["host-1", "ping", "192.168.2.2"] = lambda: made.tables.update({("spoke-a", "nhrp"): [ENTRY]})

    async def up(topology: str, backend: str, progress: controller.Progress) -> controller.UpResult:
        return controller.UpResult(made.running, True, 0.0)

    async def down(lab: str) -> bool:
        made.done.append(("down", lab))
        return True

    @asynccontextmanager
    async def watching(lab: object) -> AsyncIterator[Watch]:
        yield made.watch

    monkeypatch.setattr(controller, "up", up)
    monkeypatch.setattr(controller, "down", down)
    monkeypatch.setattr(command, "watching", watching)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yml"
    path.write_text(FILE)
    return path


@pytest.mark.usefixtures("lab")
def test_a_scenario_that_passes_prints_each_step_with_its_time(run: Run, file: Path) -> None:
    said = run("run", str(file))
    assert said.code == 0, said.err
    assert "mine: One of mine" in said.out
    assert "mine: passed, 3 steps" in said.out
    (line,) = [line for line in said.out.splitlines() if " expect " in line]
    assert line.startswith("pass  2")
    assert line.rstrip().endswith("0.050 s")  # of so much time


def test_what_was_so_before_fails_with_a_verdict_of_its_own(run: Run, lab: FakeLab, file: Path) -> None:
    lab.tables["spoke-a", "nhrp"] = [ENTRY]
    said = run("run", str(file))
    assert said.code == 1
    assert "SO BEFORE" in said.out
    assert "mine: step 2 proves nothing: it was so before the act" in said.out


def test_json_junit_and_svg_have_every_step(run: Run, lab: FakeLab, file: Path, tmp_path: Path) -> None:
    lab.on.clear()
    junit, svg = tmp_path / "x.xml", tmp_path / "x.svg"
    said = run("run", str(file), "--json", "--junit", str(junit), "--svg", str(svg), "--down")
    assert said.code == 1
    document = json.loads(said.out)
    assert (document["passed"], document["scenario"], document["seed"]) == (False, "mine", None)
    assert [step["verdict"] for step in document["steps"]] == ["passed", "failed", "not run"]
    suite = ElementTree.fromstring(junit.read_text())
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    (failure,) = suite.iter("failure")
    assert (failure.text or "").endswith("within 0.05 s; observed: an empty table")
    assert ElementTree.fromstring(svg.read_text()).tag.endswith("svg")
    assert lab.done[-1] == ("down", "hub-and-spoke")


def test_a_wrong_file_is_exit_code_2_and_no_lab_is_started(run: Run, lab: FakeLab, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text(FILE.replace("spoke-a", "spoke-z"))
    said = run("run", str(path))
    assert said.code == 2
    assert f"{path}:8:27: steps[1].expect.node: there is no router 'spoke-z'" in said.err
    assert lab.done == []
    assert run("run", str(tmp_path / "none.yml")).code == 2
    assert run("run").code == 2
    assert run("run", str(path), "--write", str(tmp_path / "y")).code == 2
    assert run("run", "new-address", "--svg", str(tmp_path / "no" / "x.svg")).code == 2


def test_a_drawn_timeline_prints_its_seed_and_is_written_as_a_scenario(
    run: Run, lab: FakeLab, tmp_path: Path
) -> None:
    path = tmp_path / "drawn.yml"
    lab.tables.clear()  # no agent answers: the first step fails, after its deadline
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dmvpn_lab.scenario.deadlines.derived_s", lambda *_, **__: 0.05)
        said = run("run", "--random", "42", "--faults", "3", "hub-and-spoke", "--write", str(path))
    assert said.code == 1
    assert "seed 42; --random 42 repeats it" in said.err
    drawn = load.read(path).scenario
    assert drawn.scenario == "drawn-42"
    assert drawn.title == "3 faults drawn from seed 42"


def test_the_bundled_scenarios_are_listed_without_a_machine(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE")
    monkeypatch.setattr(__main__, "can_run_labs", lambda: False)
    said = run("run", "--list")
    assert said.code == 0
    assert "shortcut" in said.out


def test_the_topology_of_a_file_travels_into_the_machine_and_a_wrong_file_starts_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.yml").write_text(controller.find_topology("hub-and-spoke").read_text())
    path = tmp_path / "mine.yml"
    path.write_text(FILE.replace("topology: hub-and-spoke", "topology: own.yml"))
    brought: list[object] = []

    def remember(*arguments: object) -> int:
        brought.append(arguments[4])
        return 0

    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.setattr(__main__, "can_run_labs", lambda: False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("dmvpn_lab.machine.vm.ensure", lambda say: _Machine())
    monkeypatch.setattr("dmvpn_lab.machine.client.run", remember)
    assert __main__.run(["run", str(path), "--svg", "x.svg"]) == 0
    assert brought == [[str(tmp_path / "own.yml")]]
    path.write_text("steps: []\n")
    monkeypatch.setattr("dmvpn_lab.machine.vm.ensure", lambda say: pytest.fail("a machine was started"))
    assert __main__.run(["run", str(path)]) == 2


class _Machine:
    port, token, accelerator = 1, "x", "kvm"
