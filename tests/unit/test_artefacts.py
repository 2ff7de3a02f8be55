"""What an earlier run left of failed tests: found by its mark, and removed with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab import artefacts
from dmvpn_lab.__main__ import run
from dmvpn_lab.machine import client, vm


def left(folder: Path) -> Path:
    """Of two tests that failed, one of them in its set-up, among files of somebody's own."""
    for name in ("test_a/show/hub/nhrp.json", "test_a/failure.txt", "test_b/setup/failure.txt",
                 "mine/notes.txt", "readme.txt"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_folders_of_tests_go_and_what_else_is_there_stays(tmp_path: Path) -> None:
    artefacts.clear(left(tmp_path / "results"))
    assert names(tmp_path / "results") == ["mine", "mine/notes.txt", "readme.txt"]
    artefacts.clear(tmp_path / "none")


def test_a_suite_that_goes_to_the_machine_begins_without_those_of_the_run_before_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DMVPN_LAB_INSIDE_MACHINE", raising=False)
    monkeypatch.setenv("DMVPN_LAB_IN_MACHINE", "1")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(vm, "ensure", lambda _steps: vm.Running(1, 0, 1, "tcg", "", ""))
    seen: list[list[str]] = []

    def handed_over(*_: object) -> int:
        seen.append(names(tmp_path))
        return 0

    monkeypatch.setattr(client, "run", handed_over)
    left(tmp_path / "results/artefacts")
    left(tmp_path / "other")
    assert run(["pytest", "-q", "--lab-artefacts=other", "test_mine.py"]) == 0
    assert run(["pytest", "-q"]) == 0
    first, second = ([name for name in each if name.endswith("failure.txt")] for each in seen)
    assert all(name.startswith("results/artefacts/") for name in first)
    assert (len(first), second) == (2, [])
