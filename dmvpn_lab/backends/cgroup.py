"""One control group (v2) a lab: the kernel's own list of everything that the lab runs.

Whatever happens to the controller, `kill()` finds every process.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterator
from pathlib import Path

from dmvpn_lab.errors import HostError, LabError

PARENT = "dmvpn-lab"
KILL_DEADLINE_S = 30.0


def mounted_at() -> Path:
    """Where cgroup v2 is mounted. Raises HostError."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.split()[0] == "cgroup2":
            return Path(fields.split()[4])
    raise HostError("cgroup v2 is not mounted", hint="mount -t cgroup2 none /sys/fs/cgroup")


class Cgroup:
    """The control group of one lab."""

    def __init__(self, lab: str) -> None:
        self.path = mounted_at() / PARENT / lab

    def create(self) -> None:
        """Make it. Raises HostError when this host does not allow it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostError(f"cannot make {self.path}: {error.strerror}", hint="labs need root") from error

    def add(self, pid: int) -> None:
        """Move a process in; its children follow."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """Every process in it."""
        try:
            return [int(line) for line in (self.path / "cgroup.procs").read_text().split()]
        except OSError:
            return []

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop everything in it for a while: what is done meanwhile has the processors for itself."""
        (self.path / "cgroup.freeze").write_text("1")
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile by a `down`
                (self.path / "cgroup.freeze").write_text("0")

    def kill(self) -> bool:
        """Kill everything in it, wait until the kernel says it is empty, remove it.

        False when there was none. Raises LabError when a process does not die.
        """
        if not self.path.is_dir():
            return False
        (self.path / "cgroup.kill").write_text("1")
        with open(self.path / "cgroup.events") as events:
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            while "populated 1" in events.read():
                if not poll.poll(KILL_DEADLINE_S * 1000):
                    raise LabError(
                        f"processes {self.pids()} do not end", hint="see dmesg; they hang in the kernel"
                    )
                events.seek(0)
        self.path.rmdir()
        return True
