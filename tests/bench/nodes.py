"""Nodes for the live measurements: of the netns backend, with our agent or with FRR's nhrpd in them.

    the bench's namespace (the ISP) --- eth1 --- hub       mgmtd, zebra, and
                                    `-- eth2 --- spoke     our agent or nhrpd

Every node runs mgmtd and zebra, as a router of a lab does: zebra hears of each neighbour and of
each route that the one or the other makes, and its work counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any, Literal

from dmvpn_lab.backends import process
from dmvpn_lab.backends.cgroup import Cgroup
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.linux.link import IFINFOMSG, IFLA_IFNAME, put_link
from dmvpn_lab.linux.netlink import Netlink, attribute
from dmvpn_lab.routing.frr import COMMON, FOLDER
from tests.bench import registration
from tests.live.agents import gateway_of, tunnel
from tests.live.namespaces import IFLA_NET_NS_FD, VETH_INFO_PEER, Netns

Kind = Literal["ours", "nhrpd"]
KINDS: tuple[Kind, ...] = ("ours", "nhrpd")
PATIENCE_S = 120.0
LAB = "bench-{}"
"""The folder and the control group of a kind: `dmvpn-lab down` removes what a killed bench leaves."""


@dataclass(frozen=True, slots=True)
class Station:
    """A router to start."""

    name: str
    nbma: IPv4Interface
    protocol: IPv4Interface
    is_hub: bool


HUB = Station("hub", registration.HUB_NBMA, registration.HUB, True)
SPOKE = Station("spoke", IPv4Interface("172.16.1.1/24"), IPv4Interface("10.0.0.11/16"), False)


class Node(Netns):
    """A router that runs: its network namespace, its processes."""

    def __init__(self, lab: str, station: Station, pid: int) -> None:
        self.lab = lab
        self.station = station
        self.pid = pid
        self.fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        with self.entered():
            self.netlink = Netlink()

    def processes(self) -> dict[str, int]:
        """Name -> PID of the node's first process (`init`) and of its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        found = {"init": self.pid}
        for child in children:
            name = Path(f"/proc/{child}/comm").read_text().strip()
            found["agent" if name.startswith("python") else name] = int(child)
        return found

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of each process until now, from its CPU clock (clock_getcpuclockid(3))."""
        return {name: time.clock_gettime((~pid << 3) | 2) for name, pid in self.processes().items()}

    def until_ready(self) -> None:
        """Wait for the node's word. Raises AssertionError with its log."""
        deadline = time.monotonic() + PATIENCE_S
        log = LabFolder(self.lab).path / self.station.name / "init.log"
        while not Path(f"/proc/{self.pid}/root/run/dmvpn-lab/ready").exists():
            assert Path(f"/proc/{self.pid}").exists(), f"{self.station.name} died: {log.read_text()}"
            assert time.monotonic() < deadline, f"{self.station.name} is not ready: {log.read_text()}"
            time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class World:
    """Routers around the bench's namespace."""

    isp: Netns
    nodes: dict[str, Node]


@contextlib.contextmanager
def running(kind: Kind, *stations: Station) -> Iterator[World]:
    """Routers of a kind, ready; the first one is on the ISP's eth1, the second on eth2."""
    lab = LAB.format(kind)
    _remove(lab)
    isp = Netns()
    isp.sysctl("net.ipv4.ip_forward", "1" if len(stations) > 1 else "0")
    nodes: dict[str, Node] = {}
    try:
        for station, pid in _fork(lab, kind, stations).items():
            nodes[station.name] = Node(lab, station, pid)
        for line, node in enumerate(nodes.values(), 1):
            _wire(isp, f"eth{line}", node)
            if kind == "nhrpd":
                _make_tunnel(node)
        for node in nodes.values():
            node.until_ready()
        yield World(isp, nodes)
    finally:
        for each in (isp, *nodes.values()):
            each.close()
        _remove(lab)


def _remove(lab: str) -> None:
    Cgroup(lab).kill()
    LabFolder(lab).remove()


def _fork(lab: str, kind: Kind, stations: tuple[Station, ...]) -> dict[Station, int]:
    """As the netns backend does, from a warm parent in a control group."""
    folder, cgroup = LabFolder(lab), Cgroup(lab)
    folder.create()
    for station in stations:
        for path, text in _files(kind, station).items():
            target = folder.path / station.name / "upper" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    cgroup.create()
    root = node_root()
    parent = process.start("dmvpn_lab.node.warm", root)
    cgroup.add(parent.pid)
    answers = parent.ask({"root": root if "DMVPN_LAB_WARM" in os.environ else "/",
                          "folder": str(folder.path), "nodes": [each.name for each in stations]})  # fmt: skip
    pids = {answer["node"]: answer["pid"] for answer in answers}
    return {station: pids[station.name] for station in stations}


def node_root() -> str:
    """The nodes' root file system."""
    root = os.environ.get("DMVPN_LAB_NODE_ROOT")
    if root is None:
        from dmvpn_lab.machine import build

        root = str(build.node_root(lambda _text: None))
    return root


def _wire(isp: Netns, line: str, node: Node) -> None:
    """A cable; the ISP has the last address of the line's subnet."""
    peer = IFINFOMSG.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, b"eth1\0")
    peer += attribute(IFLA_NET_NS_FD, struct.pack("=I", node.fd))
    put_link(isp.netlink, line, "veth", attribute(VETH_INFO_PEER, peer), create=True)
    isp.add(line, str(gateway_of(str(node.station.nbma))))
    isp.up(line)


def _make_tunnel(node: Node) -> None:
    """nhrpd wants its tunnel ready made, bound to the interface of its source, with a host prefix.

    Its own `tunnel source` takes key and TTL away from the link (10.3).
    """
    node.ip("link add tunnel0 type gre key 1 ttl 64 dev eth1")
    node.ip(f"addr add {node.station.protocol.ip}/32 dev tunnel0")
    node.ip("link set tunnel0 mtu 1400 up")


def _files(kind: Kind, station: Station) -> dict[str, str]:
    """The files of a node."""
    services = [_service("mgmtd", (), "mgmtd_be.sock"), _service("zebra", ("mgmtd",), "zserv.api")]
    files = {"/etc/frr/zebra.conf": f"hostname {station.name}\n"}
    if kind == "nhrpd":
        services.append(_service("nhrpd", ("zebra",), "nhrpd.vty", "-f", "/etc/frr/nhrpd.conf"))
        files["/etc/frr/nhrpd.conf"] = _nhrpd(station)
    else:
        files["/etc/dmvpn-lab/agent.json"] = _agent(station)
    document = {
        "version": 1,
        "hostname": station.name,
        "interfaces": [{"name": "eth1", "mtu": 1500, "addresses": [str(station.nbma)]}],
        "routes": [{"destination": "default", "via": str(gateway_of(str(station.nbma)).ip)}],
        "sysctls": {
            "net.ipv6.conf.all.disable_ipv6": "1",
            "net.ipv6.conf.default.disable_ipv6": "1",
            "net.ipv4.ip_forward": "1",
            "net.ipv4.conf.all.send_redirects": "0",
            # The default route outlives the address that is taken away.
            "net.ipv4.conf.all.promote_secondaries": "1",
        },
        "nft": "",
        "directories": {"/run/frr": "frr"},
        "services": services,
        "agent": kind == "ours",
    }
    return {**files, "/etc/dmvpn-lab/node.json": json.dumps(document)}


def _service(name: str, after: tuple[str, ...], ready: str, *own: str) -> dict[str, Any]:
    return {"name": name, "argv": [f"{FOLDER}/{name}", *own, *COMMON], "after": list(after),
            "ready": f"/run/frr/{ready}"}  # fmt: skip


def _agent(station: Station) -> str:
    hub: IPv4Address = registration.HUB_NBMA.ip
    server = str(registration.HUB.ip)
    more: dict[str, Any] = {"map_multicast_dynamic": True}
    if not station.is_hub:
        more = {"nhs": [server], "map": [{"protocol": server, "nbma": str(hub)}]}
    tunnels = [tunnel(str(station.protocol), holding_time_s=registration.HOLDING_TIME_S, **more)]
    return json.dumps({"version": 1, "control": "/run/dmvpn-lab/agent.sock",
                       "state": "/run/dmvpn-lab/agent.state", "tunnels": tunnels})  # fmt: skip


def _nhrpd(station: Station) -> str:
    lines = ["interface tunnel0", " ip nhrp network-id 1",
             f" ip nhrp holdtime {registration.HOLDING_TIME_S}"]  # fmt: skip
    if not station.is_hub:
        server = f" ip nhrp nhs {registration.HUB.ip} nbma {registration.HUB_NBMA.ip}"
        lines += [" ip nhrp registration no-unique", server]
    return "\n".join([f"hostname {station.name}", "!", *lines, ""])
