"""Real agents in network namespaces around a router that stands for the Internet."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

from dmvpn_lab.daemon.__main__ import run
from dmvpn_lab.daemon.config import parse
from tests.live.namespaces import Netns, wire

HUB_NBMA = "172.17.0.1"
PATIENCE_S = 15.0
SO_BINDTODEVICE = 25
NFT = """table inet dmvpn {
  chain underlay {
    type filter hook output priority filter; policy accept;
    ip protocol gre ip daddr 224.0.0.0/4 counter drop
  }
}
"""


class Control:
    """A client of an agent's control socket that waits for answers and events."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        """Every event so far, in order."""
        self._next = 0

    def query(self, name: str) -> Any:
        """The result of a query."""
        self._send({"v": 1, "id": 1, "query": name})
        while True:
            message = self._message(time.monotonic() + PATIENCE_S)
            if "event" not in message:
                assert message["ok"], message
                return message["result"]
            self.events.append(message)

    def subscribe(self) -> None:
        """Get all events, also those of before."""
        self._send({"v": 1, "id": 2, "subscribe": True, "replay": True})
        assert self._message(time.monotonic() + PATIENCE_S) == {"v": 1, "id": 2, "ok": True, "result": None}

    def wait(self, name: str, *, patience_s: float = PATIENCE_S, **facts: Any) -> dict[str, Any]:
        """The next event of that name and with those facts after the one found last."""
        deadline = time.monotonic() + patience_s
        while True:
            while self._next < len(self.events):
                event = self.events[self._next]
                self._next += 1
                if event["event"] == name and facts.items() <= event.items():
                    return event
            self.events.append(self._message(deadline, f"waited for {name} {facts}"))

    def _send(self, message: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _message(self, deadline: float, why: str = "") -> dict[str, Any]:
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{why}; the events were {self.events}"
            data = self._socket.recv(65536)
            assert data, f"{why}; the agent closed the connection after {self.events}"
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def counter(self, name: str, interface: str = "tunnel0") -> int:
        """What the agent has counted by now."""
        found: int = self.query("counters")[interface].get(name, 0)
        return found

    def until(self, name: str, count: int, interface: str = "tunnel0") -> None:
        """Wait until a counter has reached a value, and fail if it went beyond."""
        deadline = time.monotonic() + PATIENCE_S
        while self.counter(name, interface) < count:
            assert time.monotonic() < deadline, self.query("counters")
            time.sleep(0.02)
        assert self.counter(name, interface) == count

    def reaches(self, name: str, count: int, *, patience_s: float = PATIENCE_S) -> None:
        """Wait until a counter of tunnel0 has reached a value."""
        deadline = time.monotonic() + patience_s
        while self.counter(name) < count:
            assert time.monotonic() < deadline, self.query("counters")
            time.sleep(0.1)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


@dataclass
class Router:
    """A namespace with an agent in it, or not."""

    name: str
    netns: Netns
    config: dict[str, Any]
    folder: Path
    line: str
    """The ISP's end of its access line."""
    pid: int = 0
    control: Control | None = None
    at_end: list[Callable[[], None]] = field(default_factory=list)
    """What to close with it."""

    def start(self) -> Control:
        """Fork the agent; a client that is subscribed to it."""
        errors = open(self.folder / f"{self.name}.log", "ab")  # noqa: SIM115  the child's stderr
        with self.netns.entered():
            self.pid = os.fork()
            if self.pid == 0:
                _be_agent(self.config, errors.fileno())
        errors.close()
        path = Path(self.config["control"])
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                self.control = Control(path)
                self.control.subscribe()
                return self.control
            assert os.waitpid(self.pid, os.WNOHANG) == (0, 0), self.log
            assert time.monotonic() < deadline, f"{self.name} has no control socket: {self.log}"
            time.sleep(0.005)

    @property
    def log(self) -> str:
        """What the agent wrote to its standard error."""
        return (self.folder / f"{self.name}.log").read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code (negative: died of a signal)."""
        pid, self.pid = self.pid, 0
        os.kill(pid, number)
        _pid, status = os.waitpid(pid, 0)
        if self.control is not None:
            self.control.close()
        return os.waitstatus_to_exitcode(status)

    def neighbours(self) -> dict[str, str]:
        """Permanent neighbours of tunnel0 as `ip` tells them: protocol -> NBMA."""
        lines = self.netns.ip("-4 neigh show dev tunnel0 nud permanent").splitlines()
        return {line.split()[0]: line.split()[2] for line in lines if "PERMANENT" in line}

    def udp(self, destination: str, payload: bytes = b"x", link: str = "tunnel0") -> None:
        """A UDP packet to port 5000 out of a link, be there a route or not."""
        with self.netns.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, link.encode())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.sendto(payload, (destination, 5000))

    def move(self, old: str, new: str) -> float:
        """Another address on the NBMA interface, with the default route put back.

        Returns when the kernel had the new address, by the wall clock, as the events have it.
        """
        self.netns.remove("eth1", old)
        self.netns.add("eth1", new)
        at = time.time()
        self.netns.route(gateway_of(new).ip)
        return at

    def lan(self, number: int) -> Netns:
        """A host in a LAN behind it: 192.168.N.2."""
        host = Netns()
        wire(self.netns, "lan", host, "eth0")
        self.netns.add("lan", f"192.168.{number}.1/24")
        host.add("eth0", f"192.168.{number}.2/24")
        host.route(f"192.168.{number}.1")
        self.at_end.append(host.close)
        return host

    def ping(self, address: str, *options: str) -> str:
        """Ping once, or as the options say; fails when an answer is missing."""
        said = self.netns.run("ping", "-n", "-c", "1", "-W", "5", *options, address)
        assert " 0% packet loss" in said, said
        return said


class World:
    """An Internet router with access lines; routers are added to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.isp = Netns()
        self.isp.sysctl("net.ipv4.ip_forward", "1")
        self.routers: list[Router] = []

    def add(
        self, name: str, nbma: str | None, *tunnels: dict[str, Any], network: str | None = None
    ) -> Router:
        """A router on an access line of its own; `nbma` None: it has no address yet."""
        netns = Netns()
        # Nothing but what a test sends: no router solicitations, no MLD.
        netns.sysctl("net.ipv6.conf.all.disable_ipv6", "1")
        line = f"eth{len(self.routers) + 1}"
        wire(self.isp, line, netns, "eth1")
        gateway = gateway_of(nbma or network or "")
        self.isp.add(line, str(gateway))
        if nbma is not None:
            netns.add("eth1", nbma)
            netns.route(gateway.ip)
        netns.sysctl("net.ipv4.ip_forward", "1")
        for interfaces in ("all", "default"):
            netns.sysctl(f"net.ipv4.conf.{interfaces}.send_redirects", "0")
        document = {"version": 1, "control": str(self.folder / f"{name}.sock"),
                    "state": str(self.folder / f"{name}.state"), "tunnels": list(tunnels)}  # fmt: skip
        router = Router(name, netns, document, self.folder, line)
        self.routers.append(router)
        return router

    def hub(self, **changes: Any) -> Router:
        """The hub, with the rule that keeps multicast off the underlay."""
        config = tunnel("10.0.0.1/24", map_multicast_dynamic=True) | changes
        hub = self.add("hub", f"{HUB_NBMA}/24", config)
        hub.netns.run("nft", "-f", "-", text=NFT)
        return hub

    def spoke(self, number: int, **changes: Any) -> Router:
        """Spoke number 1, 2 ...: 172.16.N.1, tunnel address 10.0.0.1N."""
        router = self.add(f"spoke-{number}", f"172.16.{number}.1/24", spoke_tunnel(number) | changes)
        router.netns.run("nft", "-f", "-", text=NFT)
        return router

    def lines(self) -> list[str]:
        """The ISP's access lines."""
        return [router.line for router in self.routers]

    def close(self) -> None:
        """End everything."""
        for router in self.routers:
            if router.pid:
                router.end(signal.SIGKILL)
            if router.control is not None:
                router.control.close()
            for close in router.at_end:
                close()
            router.netns.close()
        self.isp.close()


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    """A world that ends with the test."""
    made = World(folder)
    try:
        yield made
    finally:
        made.close()


def gateway_of(address: str) -> IPv4Interface:
    """The ISP's address on the access line of that address: the last one of the subnet."""
    network = IPv4Interface(address).network
    return IPv4Interface((network.broadcast_address - 1, network.prefixlen))


def tunnel(address: str, **changes: Any) -> dict[str, Any]:
    """A tunnel of the configuration file."""
    return {
        "name": "tunnel0", "mode": "multipoint", "source": "eth1", "destination": None, "key": 1,
        "address": address, "mtu": 1400, "network_id": 1, "authentication": None, "holding_time_s": 600,
        "registration_interval_s": None, "unique": False, "nhs": [], "map": [], "map_multicast": [],
        "map_multicast_dynamic": False, **changes,
    }  # fmt: skip


def spoke_tunnel(number: int) -> dict[str, Any]:
    """A spoke's tunnel to the hub."""
    return tunnel(
        f"10.0.0.1{number}/24", nhs=["10.0.0.1"], map=[{"protocol": "10.0.0.1", "nbma": HUB_NBMA}],
        map_multicast=[HUB_NBMA],
    )  # fmt: skip


def _be_agent(config: dict[str, Any], log: int) -> None:
    """In the fork: never returns."""
    code = 1
    try:
        os.dup2(log, 2)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        run(parse(config))
        code = 0
    except BaseException:  # noqa: BLE001  the fork must not run on into the test
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
