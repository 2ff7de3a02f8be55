"""A routing daemon of FRR in a namespace of a test."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.live.namespaces import Netns

SPACE = "dmvpn-lab-test"
DEADLINE_S = 60.0


class Frr:
    """mgmtd, zebra and eigrpd in a namespace, under a path of their own."""

    def __init__(self, netns: Netns, folder: Path, configuration: str, daemon: str = "eigrpd",
                 space: str = SPACE) -> None:  # fmt: skip
        self.netns = netns
        self._name, self._space = daemon, space
        self._run, self._etc = Path("/run/frr", space), Path("/etc/frr", space)
        self._log = open(folder / f"{space}.log", "wb")  # noqa: SIM115  the daemons'
        self._daemons: list[subprocess.Popen[bytes]] = []
        for path in (self._run, self._etc):
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, "frr", "frr")
        (self._etc / f"{daemon}.conf").write_text(configuration)
        (self._etc / "zebra.conf").write_text("hostname peer\n")
        for name in ("mgmtd", "zebra", daemon):
            self.start(name)

    def start(self, name: str) -> None:
        """Start one daemon, and wait until it is ready."""
        argv = [f"/usr/lib/frr/{name}", "-N", self._space, "--log", "stdout"]
        if name == self._name:
            argv += ["-f", str(self._etc / f"{name}.conf")]
        with self.netns.entered():
            daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._daemons.append(daemon)
        ready = {"mgmtd": "mgmtd_be.sock", "zebra": "zserv.api"}.get(name, f"{name}.vty")
        eventually((self._run / ready).exists)
        assert daemon.poll() is None, Path(self._log.name).read_text()

    def show(self, command: str) -> str:
        return self.netns.run("vtysh", "-N", self._space, "-d", self._name, "-c", f"show ip eigrp {command}")

    def configure(self, *commands: str) -> None:
        """Commands of configuration mode, while the daemon runs; fails when it refuses one."""
        words = [word for each in ("configure terminal", *commands) for word in ("-c", each)]
        said = self.netns.run("vtysh", "-N", self._space, "-d", self._name, *words)
        assert "%" not in said, said

    @property
    def log(self) -> str:
        """What the daemons have said so far."""
        return Path(self._log.name).read_text(errors="replace")

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End one daemon by a signal."""
        (daemon,) = [each for each in self._daemons if name in str(each.args)]
        daemon.send_signal(number)
        daemon.wait()

    def close(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait()
        self._log.close()
        shutil.rmtree(self._run)
        shutil.rmtree(self._etc)


def eventually(true: Callable[[], bool], seen: Callable[[], object] = lambda: "") -> None:
    """Wait until something is true; fail with what was seen instead."""
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"not within {DEADLINE_S:.0f} s {seen()}"
        time.sleep(0.1)
