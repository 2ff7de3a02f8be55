"""Steady traffic of many spokes with their hub, from one process: who got no answers, and for how long.

Each spoke has a UDP socket in its own namespace; one in the hub's sends back what it gets.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator

from dmvpn_lab.backends.state import LabFolder
from tests.live.namespaces import OWN, enter

PORT = 7007
STEP_S = 0.25
"""Between two questions of one spoke."""


class Chatter:
    """Questions and answers, until it is closed."""

    def __init__(self, lab: str, hub: str, server: str, spokes: Iterable[str]) -> None:
        """`server` is the hub's tunnel address."""
        self.answers: dict[str, list[float]] = {spoke: [] for spoke in spokes}
        """Spoke -> when it got answers, monotonic."""
        self._server = (server, PORT)
        pids: dict[str, int] = LabFolder(lab).read_json("pids") or {}
        home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._echo = _socket(pids[hub])
            self._echo.bind(("0.0.0.0", PORT))
            self._sockets = {spoke: _socket(pids[spoke]) for spoke in self.answers}
        finally:
            enter(home)
            os.close(home)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Stop, and let the namespaces go."""
        self._ending.set()
        self._thread.join()
        for each in (self._echo, *self._sockets.values()):
            each.close()

    def silent(self, since: float) -> list[str]:
        """Spokes that have had no answer since that time."""
        return [spoke for spoke, times in self.answers.items() if not times or times[-1] < since]

    def gaps(self, since: float) -> dict[str, float]:
        """Spoke -> the longest time without an answer that ended after `since`, less the step."""
        found = {}
        for spoke, times in self.answers.items():
            gaps = [b - a for a, b in itertools.pairwise(times) if b > since]
            found[spoke] = max(0.0, max(gaps, default=0.0) - STEP_S)
        return found

    def until_all(self, since: float, patience_s: float) -> float:
        """Wait until every spoke has had an answer after `since`; returns the seconds that it took."""
        deadline = time.monotonic() + patience_s
        while self.silent(since):
            assert time.monotonic() < deadline, f"no answer: {self.silent(since)}"
            time.sleep(STEP_S)
        return max(next(at for at in times if at > since) for times in self.answers.values()) - since

    def _run(self) -> None:
        names = {each.fileno(): spoke for spoke, each in self._sockets.items()}
        due = time.monotonic()
        while not self._ending.is_set():
            now = time.monotonic()
            if now >= due:
                due = max(due + STEP_S, now)
                for each in self._sockets.values():
                    with contextlib.suppress(OSError):  # no address or no route at this moment
                        each.sendto(b"?", self._server)
            ready, _, _ = select.select([self._echo, *self._sockets.values()], [], [], max(0.0, due - now))
            for each in ready:
                with contextlib.suppress(OSError):
                    data, peer = each.recvfrom(64)
                    if each is self._echo:
                        each.sendto(data, peer)
                    else:
                        self.answers[names[each.fileno()]].append(time.monotonic())


def _socket(pid: int) -> socket.socket:
    """A UDP socket in the network namespace of a process; the caller goes home afterwards."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(namespace)
    finally:
        os.close(namespace)
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.setblocking(False)
    return made


@contextlib.contextmanager
def chatter(lab: str, hub: str, server: str, spokes: Iterable[str]) -> Iterator[Chatter]:
    """For the length of a block."""
    made = Chatter(lab, hub, server, spokes)
    try:
        yield made
    finally:
        made.close()
