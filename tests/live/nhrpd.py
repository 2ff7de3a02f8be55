"""FRR's nhrpd in a namespace of a test's world."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.live.agents import Router

PATIENCE_S = 90.0
FOLDER = "/usr/lib/frr"


class Nhrpd:
    """mgmtd, zebra and nhrpd of one router, under paths of their own."""

    def __init__(self, router: Router, address: str, *lines: str, group: int | None = None) -> None:
        """`address` is that of tunnel0; `lines` are nhrpd's, of its interface; `group` is NFLOG's."""
        self.router = router
        self._space = f"test-{router.name}"
        self._run, self._etc = Path("/run/frr", self._space), Path("/etc/frr", self._space)
        self._log = open(router.folder / f"{router.name}-frr.log", "wb")  # noqa: SIM115  the daemons'
        self._daemons: list[subprocess.Popen[bytes]] = []
        router.at_end.append(self.close)
        for path in (self._run, self._etc):
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, "frr", "frr")
        # It wants its tunnel ready made, bound to the interface of its source, with a host prefix.
        router.netns.ip("link add tunnel0 type gre key 1 ttl 64 dev eth1")
        router.netns.ip(f"addr add {address}/32 dev tunnel0")
        router.netns.ip("link set tunnel0 mtu 1400 up")
        log = [] if group is None else [f"nhrp nflog-group {group}"]
        text = ["hostname peer", *log, "!", "interface tunnel0", " ip nhrp network-id 1",
                *(f" {line}" for line in lines), ""]  # fmt: skip
        (self._etc / "nhrpd.conf").write_text("\n".join(text))
        (self._etc / "zebra.conf").write_text("hostname peer\n")
        for name in ("mgmtd", "zebra", "nhrpd"):
            self._start(name)

    def _start(self, name: str) -> None:
        argv = [f"{FOLDER}/{name}", "-N", self._space, "--log", "stdout"]
        argv += ["-f", str(self._etc / "nhrpd.conf")] if name == "nhrpd" else []
        with self.router.netns.entered():
            daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        self._daemons.append(daemon)
        ready = {"mgmtd": "mgmtd_be.sock", "zebra": "zserv.api"}.get(name, f"{name}.vty")
        eventually((self._run / ready).exists)
        assert daemon.poll() is None, Path(self._log.name).read_text()

    def cache(self) -> dict[str, str]:
        """Protocol address -> NBMA address of what it has, but for its own."""
        said = self.router.netns.run(
            "vtysh", "-N", self._space, "-d", "nhrpd", "-c", "show ip nhrp cache json"
        )
        entries: list[dict[str, Any]] = json.loads(said).get("table", [])
        return {e["protocol"]: e["nbma"] for e in entries if e["type"] != "local"}

    def routes(self) -> dict[str, str]:
        """Prefix -> next hop of the routes that it has put into the kernel, or the prefix itself."""
        found = json.loads(self.router.netns.ip("-json route show proto nhrp"))
        return {route["dst"]: route.get("gateway", route["dst"]) for route in found}

    def close(self) -> None:
        """End the daemons."""
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait()
        self._log.close()
        shutil.rmtree(self._run, ignore_errors=True)
        shutil.rmtree(self._etc, ignore_errors=True)


def eventually(is_so: Callable[[], bool], what: Callable[[], object] = lambda: "") -> None:
    """Wait until something is so; nothing tells us when."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)
