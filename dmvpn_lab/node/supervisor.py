"""Starts a node's services in the order of their needs, in parallel, and reaps what ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from dmvpn_lab.errors import DmvpnLabError, LabError
from dmvpn_lab.node.config import Service

LOGS = Path("/run/dmvpn-lab/log")
STEP_S = 0.02
"""How often a readiness path is looked for while a service starts."""
BACKOFF_S = (0.05, 1.0, 5.0)
"""Before restart 1, 2 ... of a service that does not stay; the first ending is most often no fault of it."""
STABLE_S = 3.0
"""One that lived so long begins with the first step again."""
WATCHED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)

Start = Callable[[], int]
"""Starts one child; returns its PID."""


class Supervisor:
    """The children of a node's first process."""

    def __init__(self) -> None:
        self._pids: dict[int, str] = {}
        self._starts: dict[str, Start] = {}
        self._restarting: set[str] = set()
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._ended_early: dict[str, int] = {}
        self._began = time.monotonic()
        self.ready_after_s: dict[str, float] = {}
        """Service -> seconds from the beginning until it was ready."""
        self.ending = False
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)

    def run(self, name: str, start: Start, *, restart: bool) -> None:
        """Start a child under this name; with `restart`, again whenever it ends."""
        self._starts[name] = start
        if restart:
            self._restarting.add(name)
        self._since[name] = time.monotonic()
        self._pids[start()] = name

    def start_all(self, units: Iterable[tuple[Service, Start]]) -> None:
        """Start services, each in its way; return when all are ready, or the node is told to end.

        Raises LabError, with the end of its log, when one ends before all are ready.
        """
        waiting = {service.name: (service, start) for service, start in units}
        starting: dict[str, Service] = {}
        ready: set[str] = set()
        while (waiting or starting) and not self.ending:
            for service, start in [u for u in waiting.values() if ready.issuperset(u[0].after)]:
                del waiting[service.name]
                self.run(service.name, start, restart=service.restart)
                starting[service.name] = service
            for service in [s for s in starting.values() if s.ready is None or Path(s.ready).exists()]:
                del starting[service.name]
                ready.add(service.name)
                self.ready_after_s[service.name] = time.monotonic() - self._began
            if waiting or starting:
                self.wait(0.0 if any(ready.issuperset(s.after) for s, _ in waiting.values()) else STEP_S)
            for name, code in self._ended_early.items():
                raise LabError(f"{name} ended with {code}:\n{log_tail(name)}")

    def whole(self) -> bool:
        """Whether every service that was started runs; one that ended with 0 was told to."""
        return self._starts.keys() <= set(self._pids.values())

    def wait(self, timeout_s: float | None = None) -> None:
        """Handle one signal, or whatever is due by then."""
        if self._due:
            soonest = max(0.0, min(self._due.values()) - time.monotonic())
            timeout_s = soonest if timeout_s is None else min(timeout_s, soonest)
        info = signal.sigwaitinfo(WATCHED) if timeout_s is None else signal.sigtimedwait(WATCHED, timeout_s)
        if info is not None and info.si_signo != signal.SIGCHLD:
            self.ending = True
        self._reap()
        for name in [name for name, due in self._due.items() if due <= time.monotonic()]:
            del self._due[name]
            self.run(name, self._starts[name], restart=True)

    def end(self) -> None:
        """Ask all children to end; the kernel kills the rest when the first process exits."""
        for pid in tuple(self._pids):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 5.0
        while self._pids and time.monotonic() < deadline:
            signal.sigtimedwait(WATCHED, 0.1)
            self._reap()

    def _reap(self) -> None:
        """Collect every ended child, also orphans of others: this is the first process."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self._pids.pop(pid, None)
            if name is not None and not self.ending:
                self._ended(name, os.waitstatus_to_exitcode(status))

    def _ended(self, name: str, code: int) -> None:
        why = f": {log_tail(name, 1)}" if name in self._restarting and code > 0 else ""
        print(f"{name} ended with {code}{why}", file=sys.stderr, flush=True)
        if name not in self._restarting:
            self._ended_early[name] = code
            if code == 0:
                del self._starts[name]
            return
        lived_s = time.monotonic() - self._since[name]
        failures = 0 if lived_s > STABLE_S else self._failures.get(name, 0)
        self._failures[name] = failures + 1
        self._due[name] = time.monotonic() + BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]


def spawn(service: Service) -> int:
    """Start a program with its output in its log. Returns its PID."""
    with open(LOGS / f"{service.name}.log", "ab") as log:
        process = subprocess.Popen(
            service.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=unblock,
        )
    process.returncode = 0  # reaped by the supervisor, not by this object
    return process.pid


def fork(name: str, run: Callable[[], None]) -> int:
    """Start a child that goes on in this interpreter. Returns its PID."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        unblock()
        with open(LOGS / f"{name}.log", "ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        run()
        code = 0
    except DmvpnLabError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - a forked child must not return into its parent's code
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def log_tail(name: str, lines: int = 8) -> str:
    """The last lines that a service printed."""
    text = (LOGS / f"{name}.log").read_text(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def unblock() -> None:
    """A child gets its signals as usual."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
