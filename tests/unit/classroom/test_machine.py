"""A learner's machine: what goes in, what can come back, and what the commands are told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dmvpn_lab.classroom.machine import OWN_SHELL, Machine
from dmvpn_lab.machine import bundle
from dmvpn_lab.machine.within import SHELL, token
from dmvpn_lab.workshop import progress, shelf

WORDS = (
    ("workshop", "observe", "01-gre-by-hand", "--json"),
    ("workshop", "running", "01-gre-by-hand"),
    ("down", "workshop-01"),
    ("shell", "hub", "--lab", "workshop-01"),
)
"""What is run in a machine, but for `up`."""


def desk(folder: Path) -> Machine:
    return Machine("class-x-anna", folder, 777)


def test_what_a_machine_may_ask_for_is_the_project_and_the_learners_own_topology(tmp_path: Path) -> None:
    machine = desk(tmp_path / "anna")
    topology = progress.topology("01-gre-by-hand", machine.states())
    progress.write_whole(topology, "lab: x\n")
    progress.write_whole(tmp_path / "bob" / "secret", "bob's")
    project = set(bundle.manifest("dmvpn_lab", ["inspect"], machine.folder))
    for words in (*WORDS, ("up", str(topology), "--no-verify")):
        more = set(bundle.manifest("dmvpn_lab", list(words), machine.folder)) - project
        assert more <= {str(topology)}, words


def test_a_machine_writes_no_file_here(tmp_path: Path) -> None:
    machine = desk(tmp_path / "anna")
    machine.folder.mkdir()
    topology = progress.topology("01-gre-by-hand", machine.states())
    progress.write_whole(topology, "lab: x\n")
    for words in (*WORDS, ("up", str(topology), "--no-verify")):
        assert bundle.outputs("dmvpn_lab", list(words), machine.folder) == [], words


def test_a_shell_in_the_machine_writes_nothing_here(tmp_path: Path) -> None:
    argv, folder = desk(tmp_path).terminal(OWN_SHELL, "workshop-01")
    assert argv[-len(SHELL) :] == list(SHELL)
    assert str(folder) in bundle.SYSTEM
    assert bundle.outputs(None, SHELL, folder) == []


def test_a_module_that_a_machine_has_written_is_not_imported_here(tmp_path: Path) -> None:
    machine = desk(tmp_path)
    for name in ("dmvpn_lab", "typing"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    done = subprocess.run(
        machine.argv("--version"),
        cwd=tmp_path,
        env=machine.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout[:9]) == (0, "dmvpn-lab"), done.stderr


def test_the_commands_are_told_which_machine_and_whose_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DMVPN_LAB_INSIDE_MACHINE", "1")
    monkeypatch.setenv("DMVPN_LAB_MACHINE", "default")
    told = desk(tmp_path).environment()
    assert told["DMVPN_LAB_MACHINE"] == "class-x-anna"
    assert told["DMVPN_LAB_IN_MACHINE"] == "1"
    assert told["DMVPN_LAB_MACHINE_MIB"] == "777"
    assert "DMVPN_LAB_INSIDE_MACHINE" not in told
    monkeypatch.setattr(os, "environ", told)
    assert progress.folder() == desk(tmp_path).states()


def test_the_secret_of_a_machine_is_on_its_kernels_command_line() -> None:
    assert token("console=ttyS0 dmvpn.token=abc quiet\n") == "abc"
    assert token("quiet") == ""


def test_every_workshop_fits_the_pages() -> None:
    assert all((shelf.find(name) / "README.md").is_file() for name in shelf.names())
