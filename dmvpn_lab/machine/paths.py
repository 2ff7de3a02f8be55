"""Where the machine keeps things: built once in the user's cache, running state beside it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dmvpn_lab.files import make_folder


def cache_folder() -> Path:
    """The project's folder in the user's cache; made with mode 0700."""
    base = os.environ.get("DMVPN_LAB_CACHE")
    if base is None:
        xdg = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        base = str(Path(xdg) / "dmvpn-lab")
    return make_folder(Path(base), mode=0o700, hint="set DMVPN_LAB_CACHE to a folder that you may write to")


@dataclass(frozen=True, slots=True)
class MachinePaths:
    """The files of one machine."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The machine's own writable layer, with its saved state."""
        return self.folder / "state.qcow2"

    @property
    def key(self) -> Path:
        """What the saved state was made with; it fits nothing else."""
        return self.folder / "state.key"

    @property
    def token(self) -> Path:
        """The secret that lets a client in."""
        return self.folder / "token"

    @property
    def running(self) -> Path:
        """JSON: pid, start time, port, accelerator of the running machine."""
        return self.folder / "running.json"

    @property
    def console(self) -> Path:
        """What the machine's kernel and init printed."""
        return self.folder / "console.log"

    @property
    def log(self) -> Path:
        """What QEMU itself said."""
        return self.folder / "qemu.log"

    @property
    def commands(self) -> Path:
        """Locked, shared, by every command while it runs in the machine."""
        return self.folder / "commands.lock"

    @property
    def monitor(self) -> Path:
        """QEMU's QMP socket, in a short path: a UNIX socket's name has 108 octets at most."""
        return self.folder / "qmp"


def machine_paths() -> MachinePaths:
    """The machine of this user; DMVPN_LAB_MACHINE names another one."""
    name = os.environ.get("DMVPN_LAB_MACHINE", "default")
    folder = cache_folder() / f"machine-{name}"
    folder.mkdir(exist_ok=True, mode=0o700)
    return MachinePaths(folder)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the cache folder; a second process waits here."""
    with open(cache_folder() / f"{name}.lock", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def command_runs() -> Iterator[None]:
    """Tell others that a command runs in the machine: who finds it slow must not end it."""
    with open(machine_paths().commands, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def commands_run() -> bool:
    """Whether any does."""
    with open(machine_paths().commands, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
