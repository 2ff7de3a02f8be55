"""Workshop files, what a look tells of tasks, and the learner's progress."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from dmvpn_lab.cli import observe as cli_observe
from dmvpn_lab.errors import HostError, TopologyError, UsageError
from dmvpn_lab.workshop import load, progress, shelf
from dmvpn_lab.workshop.model import Workshop, command
from dmvpn_lab.workshop.observe import observe
from tests.unit.backends.recorder import Recorder
from tests.unit.cli.conftest import Run, recorder, run
from tests.unit.scenario.fake import FakeLab

__all__ = ["recorder", "run"]

GOOD = """
title: One
slide: One
minutes: 10
tasks:
  - task: spoke-a knows spoke-b
    done:
      - {entry: nhrp, node: spoke-a, has: {protocol: 10.0.0.12}}
    absent:
      - {entry: nhrp, node: spoke-a, has: {protocol: 10.0.0.13}}
hints: [none]
solution: [exec hub -- true]
"""


def folder(at: Path, text: str) -> Path:
    """A workshop of that text, over the topology of another."""
    (at / "lab.yml").write_text(text)
    (at / "topology.yml").write_text((shelf.find("02") / "topology.yml").read_text())
    return at


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("minutes: 10", "minute: 10", "lab.yml:4:1: minute: unknown key"),
        ("title: One\n", "", "title: this key is missing"),
        ("entry: nhrp", "entri: nhrp", "lab.yml:8:9: tasks[0].done[0]: no condition"),
        ("spoke-a, has: {protocol: 10.0.0.12", "spoke-x, has: {protocol: 10.0.0.12", "no router 'spoke-x'"),
        ("exec hub -- true", "rm -rf", "a command that begins with up, exec or inject"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(TopologyError) as error:
        load.read(folder(tmp_path, GOOD.replace(old, new)))
    assert said in error.value.message


def test_an_unknown_workshop_is_told_with_those_that_there_are() -> None:
    with pytest.raises(UsageError) as error:
        shelf.find("99")
    assert "01-gre-by-hand" in (error.value.hint or "")
    assert shelf.find("1") == shelf.find("01") == shelf.find("01-gre-by-hand")


@pytest.mark.parametrize(
    ("there", "done"), [([], False), (["10.0.0.12"], True), (["10.0.0.12", "10.0.0.13"], False)]
)
def test_a_task_is_done_when_all_is_there_and_nothing_that_must_be_gone(
    tmp_path: Path, there: list[str], done: bool
) -> None:
    workshop: Workshop = load.read(folder(tmp_path, GOOD)).workshop
    lab = FakeLab(tables={("spoke-a", "nhrp"): [{"protocol": each} for each in there]})
    seen = asyncio.run(observe(lab.running, workshop))
    assert [each.done for each in seen] == [done]


def test_an_agent_that_does_not_answer_is_no_task_done(tmp_path: Path) -> None:
    workshop = load.read(folder(tmp_path, GOOD)).workshop
    assert [each.done for each in asyncio.run(observe(FakeLab().running, workshop))] == [False]


def test_a_command_names_its_lab_where_the_command_takes_it() -> None:
    words = ["exec", "hub", "--lab", "w", "--", "ip", "link"]
    assert command("exec hub -- ip link", "w", "t") == words
    assert command("inject expire hub", "w", "t") == ["inject", "expire", "hub", "--lab", "w"]
    assert command("up $TOPOLOGY --no-verify", "w", "/t.yml") == ["up", "/t.yml", "--no-verify"]


def test_progress_is_kept_and_a_damaged_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    progress.write("01-a", progress.Entry("passed", 2))
    progress.write("02-b", progress.Entry("started"))
    assert progress.read() == {"01-a": progress.Entry("passed", 2), "02-b": progress.Entry("started")}
    (tmp_path / "dmvpn-lab" / "workshops.json").write_text("[]")
    with pytest.raises(UsageError, match="no progress can be read"):
        progress.read()


def test_hints_come_one_after_the_other_and_are_counted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert run("workshop", "hint", "22").out.startswith("hint 1 of 3: ")
    assert run("workshop", "hint", "22").out.startswith("hint 2 of 3: ")
    rows = json.loads(run("workshop", "list", "--json").out)
    assert {row["workshop"]: row["hints"] for row in rows}["22-no-multicast"] == 2


@pytest.mark.parametrize("word", ["check", "solve"])
def test_without_its_lab_a_workshop_is_neither_checked_nor_solved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    said = run("workshop", word, "22")
    assert said.code == 2
    assert "lab workshop-22 is not running" in said.err
    assert progress.read() == {}


def test_a_start_that_is_interrupted_before_its_lab_starts_starts_nothing(
    run: Run, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(cli_observe, "find", interrupted)
    assert run("workshop", "start", "22").code == 130
    assert recorder.done == []
    assert progress.read() == {}


def test_a_start_that_is_interrupted_in_its_commands_leaves_no_lab(
    run: Run, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(Recorder, "enter_argv", interrupted)
    assert run("workshop", "start", "24").code == 130
    assert [each[0] for each in recorder.done][-2:] == ["up", "down"]
    assert not progress.topology("24-gre-dropped").exists()
    assert progress.read() == {}


def test_progress_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot make") as caught:
        progress.write("01-gre-by-hand", progress.Entry(), tmp_path / "file")
    assert "XDG_STATE_HOME" in (caught.value.hint or "")
