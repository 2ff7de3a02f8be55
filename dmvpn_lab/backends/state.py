"""What a running lab leaves on disk, for the next command: one folder under /run a lab."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmvpn_lab.errors import HostError, UsageError
from dmvpn_lab.spec.plan_types import Plan

LABS = Path("/run/dmvpn-lab/labs")


@dataclass(frozen=True, slots=True)
class LabFolder:
    """The folder of one lab."""

    lab: str

    @property
    def path(self) -> Path:
        """Root only."""
        return LABS / self.lab

    def create(self) -> None:
        """Make it anew. Raises HostError without the right, or without room."""
        try:
            LABS.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise HostError(f"cannot make {self.path}: {error.strerror}", hint="labs need root") from error

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
        except (OSError, pickle.UnpicklingError, AttributeError, ImportError, TypeError):
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
        temporary.write_bytes(data)
        temporary.replace(self.path / name)


def running_labs() -> list[str]:
    """Labs that have a folder, whole or not."""
    return sorted(path.name for path in LABS.iterdir() if path.is_dir()) if LABS.is_dir() else []


@contextlib.contextmanager
def locked(lab: str) -> Iterator[None]:
    """One changing command a lab at a time. Raises UsageError when another is at it."""
    try:
        LABS.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(LABS.parent / f"{lab}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise HostError(f"cannot lock the lab: {error.strerror}", hint="labs need root") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode() or "another process"
            raise UsageError(f"lab {lab} is being changed by process {holder}", hint="wait for it") from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)
