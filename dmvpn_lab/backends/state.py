"""What a running lab leaves on disk, for the next command: one folder under /run a lab."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pickle
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmvpn_lab.errors import HostError, UsageError
from dmvpn_lab.spec.plan_types import Plan

LABS = Path("/run/dmvpn-lab/labs")
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
"""A lab's name is a folder's name here and a control group's."""


@dataclass(frozen=True, slots=True)
class LabFolder:
    """The folder of one lab."""

    lab: str

    def __post_init__(self) -> None:
        _check_name(self.lab)

    @property
    def path(self) -> Path:
        """Root only."""
        return LABS / self.lab

    def create(self) -> None:
        """Make it anew. Raises UsageError when it is there, HostError without the right or room."""
        try:
            LABS.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            raise UsageError(
                f"lab {self.lab} is running already", hint=f"dmvpn-lab down {self.lab}"
            ) from None
        except OSError as error:
            raise _host_error(f"cannot make {self.path}", error) from error

    def remove(self) -> bool:
        """Delete it; False when there was none."""
        if not self.path.exists():
            return False
        shutil.rmtree(self.path)
        return True

    def write_plan(self, plan: Plan) -> None:
        """Remember the plan that runs; it is there when the lab is whole."""
        self._write("plan.pickle", pickle.dumps(plan))

    def plan(self) -> Plan | None:
        """The plan that runs; None when there is none, or it is another version's."""
        try:
            plan = pickle.loads((self.path / "plan.pickle").read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError, TypeError):
            return None
        return plan if isinstance(plan, Plan) else None

    def write_json(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        self._write(f"{name}.json", json.dumps(value).encode())

    def read_json(self, name: str) -> Any:
        """The JSON value under a name; None when there is none."""
        try:
            return json.loads((self.path / f"{name}.json").read_text())
        except OSError:
            return None

    def _write(self, name: str, data: bytes) -> None:
        temporary = self.path / f".{name}"
        try:
            temporary.write_bytes(data)
            temporary.replace(self.path / name)
        except OSError as error:
            raise _host_error(f"cannot write {self.path / name}", error) from error


def running_labs() -> list[str]:
    """Labs that have a folder, whole or not. Raises HostError when they may not be seen."""
    try:
        return sorted(path.name for path in LABS.iterdir() if path.is_dir()) if LABS.is_dir() else []
    except OSError as error:
        raise _host_error(f"cannot read {LABS}", error) from error


@contextlib.contextmanager
def locked(lab: str) -> Iterator[None]:
    """One changing command a lab at a time. Raises UsageError when another is at it.

    The file goes with whoever holds it: a name that no lab has leaves none.
    """
    path = _lock_file(lab)
    file = _hold(lab, path)
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)  # before it is let go: only its holder may
        os.close(file)


def _hold(lab: str, path: Path) -> int:
    """The lock's open file. One that its holder removed after it was opened here locks nothing: once more."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _host_error("cannot lock the lab", error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode() or "another process"
            os.close(file)
            raise UsageError(f"lab {lab} is being changed by process {holder}", hint="wait for it") from None
        if os.fstat(file).st_nlink > 0:
            return file
        os.close(file)


def is_being_changed(lab: str) -> bool:
    """Whether a command that changes a lab is at it."""
    try:
        file = os.open(_lock_file(lab), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _lock_file(lab: str) -> Path:
    """Beside the labs' folders. Raises UsageError for a name that no topology can have."""
    _check_name(lab)
    return LABS.parent / f"{lab}.lock"


def _check_name(lab: str) -> None:
    """Raises UsageError for a name that no topology can have: it could point out of the folder."""
    if not NAME.fullmatch(lab):
        raise UsageError(f"{lab!r} is no lab name", hint="'dmvpn-lab inspect' lists the labs")


def _host_error(what: str, error: OSError) -> HostError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = f"free some room where {LABS.parent} is" if full else "labs need root"
    return HostError(f"{what}: {error.strerror}", hint=hint)
