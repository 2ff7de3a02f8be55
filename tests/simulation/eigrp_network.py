"""A network of EIGRP speakers in virtual time, in which no loop may exist at any step.

Packets on one segment stay in order from one router to another; they are late, or lost, by chance.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from dmvpn_lab.eigrp.actions import Action, InstallRoute, NextHop, Notify, RemoveRoute, Send
from dmvpn_lab.eigrp.config import InterfaceConfig, ProcessConfig
from dmvpn_lab.eigrp.constants import GROUP
from dmvpn_lab.eigrp.dual import INFINITE
from dmvpn_lab.eigrp.speaker import Speaker
from tests.unit.eigrp.classic import classic

LATEST_S = 0.05


@dataclass
class Segment:
    """A cable, or several routers on one network."""

    number: int
    members: dict[IPv4Address, tuple[Router, str]] = field(default_factory=dict)
    broken: bool = False
    loss: float = 0.0
    hub: IPv4Address | None = None
    """Of a multipoint tunnel: the spokes hear nobody else."""
    last: dict[tuple[IPv4Address, IPv4Address], float] = field(default_factory=dict)

    @property
    def network(self) -> IPv4Network:
        return IPv4Network(f"10.{self.number}.0.0/16")


@dataclass
class Router:
    """A speaker with the routes that it had installed."""

    name: str
    interfaces: list[InterfaceConfig]
    segments: dict[str, Segment]
    options: dict[str, Any]
    speaker: Speaker
    routes: dict[IPv4Network, tuple[NextHop, ...]] = field(default_factory=dict)
    events: list[Notify] = field(default_factory=list)
    alive: bool = True
    wakes_at: float | None = None


class Network:
    """All routers and segments, and the clock."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.routers: dict[str, Router] = {}
        self.segments: list[Segment] = []
        self.packets = 0
        self.sent: list[tuple[float, str, Send]] = []
        self.keep_packets = False
        self.steps = 0
        self.failed_at: dict[int | str, float] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    # --- building ---------------------------------------------------------------------------------

    def segment(self) -> Segment:
        made = Segment(len(self.segments) + 1)
        self.segments.append(made)
        return made

    def router(self, name: str, ports: dict[Segment_, dict[str, Any]] | list[tuple[Segment, dict[str, Any]]],
               lan: bool = True, wide_lan: bool = False, **options: Any) -> Router:  # fmt: skip
        """A router on segments, each with changes to its interface's configuration."""
        number = len(self.routers) + 1
        interfaces, segments = [], {}
        for i, (segment, changes) in enumerate(ports):
            address = IPv4Interface(f"{segment.network.network_address + number}/16")
            interfaces.append(interface(f"eth{i}", address, **changes))
            segments[f"eth{i}"] = segment
        if lan:
            address = IPv4Interface(f"{IPv4Address('192.168.0.1') + 256 * number}/24")
            interfaces.append(interface("lan", address, passive=True, delay_us=10, wide=wide_lan))
        made = Router(name, interfaces, segments, options, self._speaker(number, interfaces, options))
        self.routers[name] = made
        for config in interfaces:
            if config.name in segments:
                segments[config.name].members[config.address.ip] = (made, config.name)
        return made

    def _speaker(self, number: int, interfaces: list[InterfaceConfig], options: dict[str, Any],
                 **more: Any) -> Speaker:  # fmt: skip
        config = ProcessConfig(1, IPv4Address(number), tuple(interfaces), **options)
        return Speaker(config, sequence=self.rng.getrandbits(31), **more)

    def start(self, *names: str) -> None:
        """Set the interfaces of these routers (all) up, not quite at the same time."""
        for router in self.routers.values():
            if not names or router.name in names:
                for config in router.interfaces:
                    self.after(self.rng.random(), self._upper(router, config.name))

    def _upper(self, router: Router, name: str) -> Callable[[], None]:
        def up() -> None:
            segment = router.segments.get(name)
            if segment is None or not segment.broken:
                self.do(router, router.speaker.interface_up(name, self.now))

        return up

    # --- changes ----------------------------------------------------------------------------------

    def cut(self, segment: Segment, noticed: bool = True) -> None:
        """A cable breaks; without `noticed`, the routers must find out by themselves."""
        segment.broken = True
        if noticed:
            for router, name in segment.members.values():
                if router.alive:
                    self.do(router, router.speaker.interface_down(name, self.now))

    def mend(self, segment: Segment) -> None:
        """It is whole again."""
        segment.broken = False
        for router, name in segment.members.values():
            if router.alive:
                self.do(router, router.speaker.interface_up(name, self.now))

    def kill(self, name: str) -> None:
        """A router loses power: no packet, no route."""
        router = self.routers[name]
        router.alive = False
        router.routes.clear()

    def revive(self, name: str, *, restarting: bool = False) -> None:
        """It starts again, with nothing in its memory; routes of before only with `restarting`."""
        router = self.routers[name]
        router.alive = True
        number = list(self.routers).index(name) + 1
        router.speaker = self._speaker(number, router.interfaces, router.options, restarting=restarting)
        router.wakes_at = None
        for config in router.interfaces:
            segment = router.segments.get(config.name)
            if segment is None or not segment.broken:
                self.do(router, router.speaker.interface_up(config.name, self.now))

    # --- time -------------------------------------------------------------------------------------

    def after(self, delay_s: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay_s, self._count, what))

    def disturb(self, count: int) -> None:
        """Some failures and repairs by chance, close together, then quiet.

        What fails stays so until its neighbours have noticed: DUAL asks for that, and a router that
        has forgotten everything while others still rely on it is beyond any protocol's help.
        """
        for _ in range(count):
            segment = self.rng.choice(self.segments)
            router = self.rng.choice(list(self.routers.values()))
            ripe = self.now - 60
            if self.rng.random() < 0.7:
                if not segment.broken:
                    self.failed_at[segment.number] = self.now
                    self.cut(segment, noticed=self.rng.random() < 0.7)
                elif self.failed_at[segment.number] < ripe:
                    self.mend(segment)
            elif router.alive:
                self.failed_at[router.name] = self.now
                self.kill(router.name)
            elif self.failed_at[router.name] < ripe:
                self.revive(router.name)
            self.run(self.rng.choice((0.0, 0.01, 0.1, 1.0, 3.0)))
        self.run(120)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, what = heapq.heappop(self._queue)
            self.steps += 1
            what()
        self.now = end

    def do(self, router: Router, actions: list[Action]) -> None:
        changed: set[IPv4Network] = set()
        for action in actions:
            match action:
                case Send():
                    self._carry(router, action)
                case InstallRoute(prefix, hops):
                    router.routes[prefix] = hops
                    changed.add(prefix)
                case RemoveRoute(prefix):
                    router.routes.pop(prefix, None)
                    changed.add(prefix)
                case Notify():
                    router.events.append(action)
        for prefix in changed:
            self.assert_no_loop(prefix)
        self._rearm(router)

    def _rearm(self, router: Router) -> None:
        deadline = router.speaker.deadline()
        if deadline is None or router.wakes_at == deadline:
            return
        router.wakes_at = deadline
        speaker = router.speaker

        def wake() -> None:
            if router.alive and router.speaker is speaker and router.wakes_at == deadline:
                router.wakes_at = None
                self.do(router, router.speaker.tick(self.now))

        self.after(max(0.0, deadline - self.now), wake)

    def _carry(self, router: Router, send: Send) -> None:
        segment = router.segments[send.interface]
        source = next(c.address.ip for c in router.interfaces if c.name == send.interface)
        self.packets += 1
        if self.keep_packets:
            self.sent.append((self.now, router.name, send))
        for address, (other, name) in segment.members.items():
            if address == source or send.destination not in (GROUP, address):
                continue
            if segment.hub is not None and segment.hub not in (source, address):
                continue
            if segment.broken or self.rng.random() < segment.loss:
                continue
            key = (source, address)
            at = max(segment.last.get(key, 0.0), self.now + self.rng.random() * LATEST_S)
            segment.last[key] = at
            self.after(at - self.now, self._arrival(segment, other, name, send.data, source))

    def _arrival(self, segment: Segment, router: Router, name: str, data: bytes,
                 source: IPv4Address) -> Callable[[], None]:  # fmt: skip
        def arrive() -> None:
            if router.alive and not segment.broken:
                self.do(router, router.speaker.receive(name, data, source, self.now))

        return arrive

    # --- what must hold ---------------------------------------------------------------------------

    def assert_no_loop(self, prefix: IPv4Network) -> None:
        """No packet for a destination comes back to a router that it has passed."""
        done: set[str] = set()
        for name in self.routers:
            trail: list[str] = []
            self._walk(name, prefix, trail, done)

    def _walk(self, name: str, prefix: IPv4Network, trail: list[str], done: set[str]) -> None:
        assert name not in trail, f"{self.now:.3f} s: loop {[*trail, name]} for {prefix}"
        if name in done:
            return
        trail.append(name)
        router = self.routers[name]
        for hop in router.routes.get(prefix, ()) if router.alive else ():
            segment = router.segments[hop.interface]
            member = segment.members.get(hop.gateway)
            if member is not None and not segment.broken:
                self._walk(member[0].name, prefix, trail, done)
        trail.pop()
        done.add(name)

    def distances(self) -> dict[tuple[str, str], int]:
        """What DUAL has: (router, router whose LAN it is) -> distance; only what can be reached."""
        found = {}
        for router in self.routers.values():
            for other in self.routers.values():
                if not (router.alive and other.alive):
                    continue
                lan = next((c.address.network for c in other.interfaces if c.name == "lan"), None)
                entry = router.speaker.topology.entries.get(lan) if lan is not None else None
                if entry is not None:
                    assert not entry.active, f"{router.name} is active for {entry.prefix}"
                    if entry.distance < INFINITE:
                        found[router.name, other.name] = entry.distance
        return found

    def expected(self) -> dict[tuple[str, str], int]:
        """What Dijkstra says."""
        found = {}
        for source in self.routers.values():
            if source.alive:
                for target, delay in self._nearest(source).items():
                    lan = next((c for c in self.routers[target].interfaces if c.name == "lan"), None)
                    if lan is not None:
                        found[source.name, target] = classic(lan).bandwidth + classic(lan).delay + delay
        return found

    def _nearest(self, source: Router) -> dict[str, int]:
        best: dict[str, int] = {}
        queue = [(0, source.name)]
        while queue:
            delay, name = heapq.heappop(queue)
            if name in best:
                continue
            best[name] = delay
            router = self.routers[name]
            for config in router.interfaces:
                segment = router.segments.get(config.name)
                if segment is None or segment.broken:
                    continue
                for other, _ in segment.members.values():
                    if other.alive and other is not router:
                        heapq.heappush(queue, (delay + classic(config).delay, other.name))
        return best


Segment_ = Any


def interface(name: str, address: IPv4Interface, **changes: Any) -> InterfaceConfig:
    """An interface's configuration; all have one bandwidth, so that distances add up."""
    settings: dict[str, Any] = {"mtu": 1500, "bandwidth_kbps": 100_000, "delay_us": 100} | changes
    return InterfaceConfig(name, address, **settings)


def random_network(seed: int, routers: int = 7, loss: float = 0.0, hold_s: int = 15) -> Network:
    """Routers on cables and on networks of three or four, with delays by chance."""
    network = Network(seed)
    rng = network.rng
    ports: list[list[tuple[Segment, dict[str, Any]]]] = [[] for _ in range(routers)]
    for _ in range(routers + 3):
        members = rng.sample(range(routers), rng.choice((2, 2, 2, 3, 4)))
        segment = network.segment()
        segment.loss = loss
        for member in members:
            ports[member].append((segment, {"delay_us": 10 * rng.randint(1, 30), "hold_s": hold_s}))
    for number, each in enumerate(ports):
        network.router(f"r{number}", each)
    return network
