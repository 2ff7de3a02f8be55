"""The controller: which topology, which lab, and when a lab is started anew."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dmvpn_lab import controller, running
from dmvpn_lab.backends import state
from dmvpn_lab.backends.base import NodeState
from dmvpn_lab.backends.state import LabFolder, running_labs
from dmvpn_lab.controller import UpResult
from dmvpn_lab.errors import HostError, LabError, TopologyError, UsageError
from tests.unit.backends.recorder import Recorder
from tests.unit.spec.labs import BUNDLED, bundled


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    monkeypatch.setattr(state, "LABS", tmp_path / "labs")
    one = Recorder()
    for module in (controller, running):
        monkeypatch.setattr(module, "backend", lambda name: one)
    return one


def up(topology: str = "hub-and-spoke") -> tuple[UpResult, list[str]]:
    said: list[str] = []
    done = asyncio.run(
        controller.up(topology, "netns", lambda phase, detail: said.append(f"{phase}: {detail}"))
    )
    return done, said


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_topology_is_found_by_its_name(name: str) -> None:
    assert controller.find_topology(name) == controller.bundled_topologies() / f"{name}.yml"


def test_a_file_comes_before_a_bundled_topology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phase-1").write_text("lab: mine")
    assert controller.find_topology("phase-1") == Path("phase-1")
    assert controller.find_topology(str(tmp_path / "phase-1")) == tmp_path / "phase-1"


@pytest.mark.parametrize("name", ["", "nothing", "../topologies/phase-1", "./phase-1", "phase-1.yml", "/"])
def test_what_is_no_topology_is_told_which_there_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        controller.find_topology(name)
    near = "did you mean phase-1? " if name in ("./phase-1", "phase-1.yml") else ""
    assert caught.value.hint == f"{near}name a file, or one of: {', '.join(BUNDLED)}"


def test_a_lab_that_runs_as_it_should_is_left_alone(recorder: Recorder) -> None:
    first, _ = up()
    recorder.done.clear()
    second, said = up()
    assert (first.started, second.started) == (True, False)
    assert (recorder.done, said) == ([], [])


def test_a_lab_is_found_once_it_is_up_and_not_after_down(recorder: Recorder) -> None:
    up()
    assert controller.find(None).plan == controller.find("hub-and-spoke").plan == bundled("hub-and-spoke")
    assert asyncio.run(controller.down("hub-and-spoke")) is True
    assert asyncio.run(controller.down("hub-and-spoke")) is False
    with pytest.raises(UsageError, match="no lab is running"):
        controller.find(None)


def test_a_lab_that_could_not_start_counts_as_cut_off(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Recorder, *_: object) -> None:
        LabFolder("hub-and-spoke").create()
        raise LabError("spoke-a died")

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "up", fails)
        with pytest.raises(LabError, match="spoke-a died"):
            up()
    assert running_labs() == ["hub-and-spoke"]
    with pytest.raises(LabError, match="did not finish starting"):
        controller.find(None)
    _, said = up()
    assert said == ["restart: an earlier start was cut off"]
    assert controller.find(None).plan.lab == "hub-and-spoke"


def test_a_dead_or_missing_node_makes_up_start_the_lab_anew(recorder: Recorder) -> None:
    for change in (lambda s: (NodeState("hub", False, 1), *s[1:]), lambda s: s[1:], lambda s: ()):
        up()
        recorder.states = change(recorder.states)
        recorder.done.clear()
        assert up()[0].started
        assert recorder.done == [("down", "hub-and-spoke"), ("up", "hub-and-spoke")]


def test_another_lab_is_not_touched(recorder: Recorder) -> None:
    up("hub-and-spoke")
    recorder.done.clear()
    up("phase-1")
    assert ("down", "hub-and-spoke") not in recorder.done
    assert running_labs() == ["hub-and-spoke", "phase-1"]


def test_a_wrong_topology_is_refused_before_anything_is_touched(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("lab: hub-and-spoke\n")
    up()
    recorder.done.clear()
    with pytest.raises(TopologyError, match="clouds: this key is missing"):
        up(str(tmp_path / "x.yml"))
    assert recorder.done == []


def test_without_the_right_to_labs_the_error_is_the_hosts(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(state, "LABS", tmp_path / "file" / "dmvpn-lab" / "labs")
    with pytest.raises(HostError):
        up()
    assert recorder.done == []
