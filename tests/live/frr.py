"""FRR's eigrpd in a namespace of a test."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.live.namespaces import Netns

SPACE = "dmvpn-lab-test"
RUN, ETC = Path("/run/frr", SPACE), Path("/etc/frr", SPACE)
DEADLINE_S = 60.0


class Frr:
    """mgmtd, zebra and eigrpd in a namespace, under a path of their own."""

    def __init__(self, netns: Netns, folder: Path, configuration: str) -> None:
        self.netns = netns
        self._log = open(folder / "frr.log", "wb")  # noqa: SIM115  the daemons'
        self._daemons: list[subprocess.Popen[bytes]] = []
        for path in (RUN, ETC):
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, "frr", "frr")
        (ETC / "eigrpd.conf").write_text(configuration)
        (ETC / "zebra.conf").write_text("hostname peer\n")
        for name in ("mgmtd", "zebra", "eigrpd"):
            self._start(name)

    def _start(self, name: str) -> None:
        argv = [f"/usr/lib/frr/{name}", "-N", SPACE, "--log", "stdout"]
        if name == "eigrpd":
            argv += ["-f", str(ETC / "eigrpd.conf")]
        with self.netns.entered():
            daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._daemons.append(daemon)
        ready = {"mgmtd": "mgmtd_be.sock", "zebra": "zserv.api"}.get(name, f"{name}.vty")
        eventually((RUN / ready).exists)
        assert daemon.poll() is None, Path(self._log.name).read_text()

    def show(self, command: str) -> str:
        return self.netns.run("vtysh", "-N", SPACE, "-d", "eigrpd", "-c", f"show ip eigrp {command}")

    def end(self, name: str) -> None:
        """End one daemon."""
        (daemon,) = [each for each in self._daemons if name in str(each.args)]
        daemon.terminate()
        daemon.wait()

    def close(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait()
        self._log.close()
        shutil.rmtree(RUN)
        shutil.rmtree(ETC)


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end, f"not within {DEADLINE_S:.0f} s"
        time.sleep(0.1)
