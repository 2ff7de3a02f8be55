"""Our EIGRP and FRR's eigrpd as neighbours on an Ethernet, each learning from the other."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.agents import Router, tunnel, world
from tests.live.namespaces import Netns

pytestmark = pytest.mark.live

SPACE = "dmvpn-lab-test"
RUN, ETC = Path("/run/frr", SPACE), Path("/etc/frr", SPACE)
DEADLINE_S = 60.0
EIGRPD = """\
hostname peer
interface eth1
 delay 10
!
router eigrp 1
 eigrp router-id 172.16.1.254
 network 172.16.1.0/24
 network 192.168.50.0/24
!
"""


class Frr:
    """mgmtd, zebra and eigrpd in a namespace, under a path of their own."""

    def __init__(self, netns: Netns, folder: Path) -> None:
        self.netns = netns
        self._log = open(folder / "frr.log", "wb")  # noqa: SIM115  the daemons'
        self._daemons: list[subprocess.Popen[bytes]] = []
        for path in (RUN, ETC):
            path.mkdir(parents=True, exist_ok=True)
            shutil.chown(path, "frr", "frr")
        (ETC / "eigrpd.conf").write_text(EIGRPD)
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


def lan(netns: Netns, name: str, address: str) -> None:
    netns.ip(f"link add {name} type dummy")
    netns.ip(f"addr add {address} dev {name}")
    netns.ip(f"link set {name} up")


def interface(name: str, address: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "address": address, "mtu": 1500, "bandwidth_kbps": 100_000, "delay_us": 100,
            "hello_s": 2, "hold_s": 6, **changes}  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Router, Frr]]:
    """A router of ours with 192.168.60.0/24 behind it, and FRR with 192.168.50.0/24."""
    with world(tmp_path) as made:
        ours = made.add("ours", "172.16.1.1/24", tunnel("10.0.0.1/24", map_multicast_dynamic=True))
        lan(ours.netns, "lan1", "192.168.60.1/24")
        lan(made.isp, "lan0", "192.168.50.1/24")
        interfaces = [interface("eth1", "172.16.1.1/24"), interface("lan1", "192.168.60.1/24", passive=True)]
        ours.config["eigrp"] = {"asn": 1, "router_id": "10.0.0.1", "stub": None, "interfaces": interfaces}
        frr = Frr(made.isp, tmp_path)
        try:
            yield ours, frr
        finally:
            frr.close()


def routes(netns: Netns, destination: str) -> str:
    return netns.ip(f"route show {destination}").strip()


def test_each_learns_the_lan_of_the_other_with_the_same_metric(pair: tuple[Router, Frr]) -> None:
    ours, frr = pair
    control = ours.start()
    eventually(lambda: "via 172.16.1.254 dev eth1 proto 88" in routes(ours.netns, "192.168.50.0/24"))
    eventually(lambda: "via 172.16.1.1 dev eth1 proto eigrp" in routes(frr.netns, "192.168.60.0/24"))
    (neighbour,) = control.query("eigrp-neighbors")
    assert (neighbour["address"], neighbour["up"]) == ("172.16.1.254", True)
    assert "172.16.1.1" in frr.show("neighbor")
    # 256 x (10^7 / 100000 + 10) of the LAN, and 10 more of the Ethernet between the two.
    assert "via 172.16.1.1 (30720/28160), eth1" in frr.show("topology")
    (route,) = [r for r in control.query("eigrp-topology")["routes"] if r["prefix"] == "192.168.50.0/24"]
    assert [(p["distance"], p["reported_distance"]) for p in route["paths"]] == [(30720, 28160)]
    assert control.query("eigrp-traffic")["counters"].get("malformed", 0) == 0


def test_what_frr_said_is_forgotten_when_it_ends(pair: tuple[Router, Frr]) -> None:
    ours, frr = pair
    control = ours.start()
    eventually(lambda: "proto 88" in routes(ours.netns, "192.168.50.0/24"))
    frr.end("eigrpd")
    control.wait("eigrp-neighbour-down", neighbour="172.16.1.254")
    eventually(lambda: routes(ours.netns, "192.168.50.0/24") == "")
