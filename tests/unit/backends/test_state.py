"""What a running lab leaves on disk, and who may change it."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dmvpn_lab.backends import state
from dmvpn_lab.backends.state import LabFolder, locked, running_labs
from dmvpn_lab.errors import HostError, UsageError
from tests.unit.backends.plain import plain_plan


@pytest.fixture(autouse=True)
def _labs_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LABS", tmp_path / "run" / "labs")


def test_a_plan_comes_back_as_it_was() -> None:
    folder, plan = LabFolder("x"), plain_plan("x")
    folder.create()
    folder.write_plan(plan)
    assert folder.plan() == plan


def test_without_a_folder_there_is_no_plan() -> None:
    assert LabFolder("x").plan() is None


@pytest.mark.parametrize("keep", [0, 1, 10, -1])
def test_a_plan_that_was_cut_off_is_no_plan(keep: int) -> None:
    folder = LabFolder("x")
    folder.create()
    folder.write_plan(plain_plan("x"))
    file = folder.path / "plan.pickle"
    file.write_bytes(file.read_bytes()[:keep])
    assert folder.plan() is None


def test_a_plan_of_another_version_of_this_program_is_no_plan() -> None:
    folder = LabFolder("x")
    folder.create()
    folder.write_plan(plain_plan("x"))
    file = folder.path / "plan.pickle"
    file.write_bytes(file.read_bytes().replace(b"NodePlan", b"NodePlam"))
    assert folder.plan() is None


def test_json_values_come_back_and_a_missing_one_is_none() -> None:
    folder = LabFolder("x")
    folder.create()
    folder.write_json("pids", {"hub": 7})
    assert folder.read_json("pids") == {"hub": 7}
    assert folder.read_json("faults") is None


def test_a_folder_is_for_root_only() -> None:
    LabFolder("x").create()
    assert LabFolder("x").path.stat().st_mode & 0o777 == 0o700


def test_removing_says_whether_there_was_something() -> None:
    LabFolder("x").create()
    assert LabFolder("x").remove() is True
    assert LabFolder("x").remove() is False


def test_labs_are_listed_by_name() -> None:
    assert running_labs() == []
    LabFolder("b").create()
    LabFolder("a").create()
    assert running_labs() == ["a", "b"]


@pytest.mark.parametrize("name", ["", ".", "..", "../../etc", "a/b", "/etc", "A b"])
def test_a_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no lab name"):
        LabFolder(name)
    with pytest.raises(UsageError, match="no lab name"), locked(name):
        pass


def test_a_lab_that_runs_already_is_named_as_the_reason() -> None:
    LabFolder("x").create()
    with pytest.raises(UsageError, match="x is running already"):
        LabFolder("x").create()


def test_a_full_disk_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    LabFolder("x").create()

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(HostError, match="No space left on device") as caught:
        LabFolder("x").write_plan(replace(plain_plan("x"), lab="x"))
    assert "free some" in (caught.value.hint or "")


def test_a_folder_that_may_not_be_read_is_a_matter_of_privilege(monkeypatch: pytest.MonkeyPatch) -> None:
    LabFolder("x").create()

    def refuse(self: Path) -> object:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(HostError) as caught:
        running_labs()
    assert "root" in (caught.value.hint or "")


HOLD = """
import sys
from pathlib import Path
from dmvpn_lab.backends import state
state.LABS = Path(sys.argv[1])
with state.locked("x"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_command_on_the_same_lab_is_told_who_is_at_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state.LABS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"x is being changed by process {holder.pid}"), locked("x"):
            pass
        with locked("y"):
            pass
        assert (state.is_being_changed("x"), state.is_being_changed("y")) == (True, False)
        holder.kill()
        holder.wait()
        assert not state.is_being_changed("x")
        with locked("x"):
            pass


def test_a_lock_leaves_no_file_also_when_the_command_fails_or_an_earlier_one_was_killed() -> None:
    state.LABS.parent.mkdir(parents=True)
    (state.LABS.parent / "x.lock").write_text("4711")  # of a process that was killed
    with pytest.raises(ZeroDivisionError), locked("x"):
        raise ZeroDivisionError
    with locked("y"), pytest.raises(UsageError), locked("y"):
        pass
    assert list(state.LABS.parent.iterdir()) == []


def test_whoever_opened_a_lock_that_its_holder_then_removed_holds_the_one_that_others_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flock = fcntl.flock
    opened: list[int] = []

    def once_too_late(file: int, how: int) -> None:
        if not opened:  # its holder ends between our opening and our locking
            (state.LABS.parent / "x.lock").unlink()
        opened.append(file)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", once_too_late)
    with locked("x"):
        with pytest.raises(UsageError, match=f"x is being changed by process {os.getpid()}"), locked("x"):
            pass
        assert state.is_being_changed("x")
    assert not state.is_being_changed("x")
