"""A network of agents in virtual time: no socket, no sleep, one seed makes one run.

Packets are lost, doubled, delayed and so reordered; kernels answer late and may refuse. Routers
crash, come back, and get other addresses. After each step of a router `Router.check` compares what
its kernel has of the step with its cache, and after some steps everything.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress, IpNetwork
from dmvpn_lab.nhrp.actions import (
    Action,
    ChangeMulticastPeers,
    FindRoute,
    InstallNeighbour,
    InstallShortcut,
    Notify,
    RemoveNeighbour,
    RemoveShortcut,
    SendPacket,
)
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cache import Binding, Cache
from dmvpn_lab.nhrp.config import TunnelConfig
from dmvpn_lab.nhrp.route import Route
from dmvpn_lab.nhrp.saved import Saved

EVERY = 50
"""Everything is checked after each so many steps of a router, or a third of its bindings, if that is more."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How bad the network and the kernels are."""

    loss: float = 0.0
    duplication: float = 0.0
    delay_s: tuple[float, float] = (0.01, 0.02)
    """Each packet draws its own, so a wide range reorders."""
    verdict_s: tuple[float, float] = (0.0, 0.0)
    """How long a kernel thinks about a neighbour."""
    refusal: float = 0.0
    """Part of the neighbours that a kernel refuses."""


@dataclass(slots=True)
class Router:
    """One agent, its kernel, and its NBMA address of the moment."""

    name: str
    config: TunnelConfig
    network: Network
    agent: Agent = field(init=False)
    nbma: IPv4Address | None = None
    alive: bool = False
    life: int = 0
    """Grows with each crash: what was under way for an earlier life is void."""
    neighbours: dict[IpAddress, IPv4Address] = field(default_factory=dict)
    multicast: set[IPv4Address] = field(default_factory=set)
    routes: list[Route] = field(default_factory=list)
    """Its main table."""
    shortcuts: dict[IpNetwork, IpAddress] = field(default_factory=dict)
    """Its table of shortcuts: prefix -> next hop."""
    asked: Counter[IpAddress] = field(default_factory=Counter)
    """Protocol addresses whose neighbour the kernel still thinks about."""
    verdict_at: float = 0.0
    """When the last verdict comes; a kernel answers in the order in which it was asked."""
    saved: dict[IpAddress, Binding] = field(default_factory=dict)
    """The state file: the newest word on each dynamic binding."""
    last_id: int | None = None
    unchecked: int = 0
    """Steps since everything was checked."""
    sent: Counter[IPv4Address] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    """Events, by name."""
    _timer: float | None = None

    @property
    def protocol(self) -> IpAddress:
        """Its (first) address in the tunnel."""
        return self.config.address.ip

    @property
    def protocols(self) -> tuple[IpAddress, ...]:
        """Its addresses in the tunnel, of every family."""
        return tuple(part.address.ip for part in self.config.parts())

    @property
    def static_maps(self) -> dict[IpAddress, IPv4Address]:
        """Of every family."""
        return {protocol: nbma for part in self.config.parts() for protocol, nbma in part.static_maps}

    def start(self, nbma: IPv4Address) -> None:
        """The router boots: a new agent, an empty kernel."""
        self.agent = Agent([self.config], random.Random(self.network.rng.getrandbits(64)))
        self.alive, self.nbma, self._timer = True, None, None
        self.neighbours, self.multicast, self.asked = {}, set(), Counter()
        self.shortcuts = {}
        self.saved, self.last_id = {}, None
        self.address(nbma)

    def restart_agent(self) -> None:
        """The agent dies, the kernel stays; the next one starts at once with what was saved."""
        self.life += 1
        self.agent = Agent([self.config], random.Random(self.network.rng.getrandbits(64)))
        self._timer, self.asked, self.verdict_at = None, Counter(), 0.0
        self.shortcuts = {}  # they come again by need
        saved = Saved(self.last_id, tuple(self.saved.values()))
        self.carry_out(self.agent.restore(saved, self.network.now))
        wanted = {binding.protocol: binding.nbma for binding in saved.bindings}
        for protocol in self.neighbours.keys() - self.static_maps.keys() - wanted.keys():
            del self.neighbours[protocol]
        self.neighbours |= wanted
        # The shell's set is empty at first, and gets all that the core has.
        self.multicast = {IPv4Address(entry["nbma"]) for entry in self.agent.multicast()}
        if self.nbma is not None:
            self.carry_out(self.agent.source_changed(self.config.name, self.nbma, self.network.now))

    def restart_agent_if_alive(self) -> None:
        """The same, unless the router itself is down."""
        if self.alive:
            self.restart_agent()

    def crash(self) -> None:
        """Gone without a word."""
        self.network.release(self)
        self.alive, self.nbma = False, None
        self.life += 1

    def address(self, nbma: IPv4Address | None) -> None:
        """The source interface has another address, or none."""
        self.network.release(self)
        self.nbma = nbma
        if nbma is not None:
            self.network.owner[nbma] = self
        self.carry_out(self.agent.source_changed(self.config.name, nbma, self.network.now))

    def carry_out(self, actions: list[Action]) -> None:
        """Do what the core asks for, and look whether it all fits together."""
        for action in actions:
            match action:
                case SendPacket(_, nbma, data):
                    self.sent[nbma] += 1
                    self.network.send(self, nbma, data)
                case InstallNeighbour():
                    self._install(action)
                case RemoveNeighbour(_, protocol):
                    self.neighbours.pop(protocol, None)
                case ChangeMulticastPeers(_, added, removed):
                    # By what changes and not by the whole set, which may have ten thousand.
                    new = [nbma for nbma in added if nbma not in self.config.map_multicast]
                    assert self.multicast.isdisjoint(new), self._where()
                    assert self.multicast.issuperset(removed), self._where()
                    self.multicast.difference_update(removed)
                    self.multicast.update(added)
                case FindRoute(token, address):
                    able = [route for route in self.routes if address in route.prefix]
                    best = max(able, key=lambda route: route.prefix.prefixlen, default=None)
                    self.carry_out(self.agent.found(token, best, self.network.now))
                case InstallShortcut(_, prefix, via):
                    self.shortcuts[prefix] = via
                case RemoveShortcut(_, prefix):
                    del self.shortcuts[prefix]
                case Notify(name, _):
                    self.heard[name] += 1
        changes = self.agent.take_changes()
        self.last_id = changes.last_id
        for _, protocol, binding in changes.bindings:
            self.saved.pop(protocol, None)
            if binding is not None:
                self.saved[protocol] = binding
        for _, (_, renewed) in changes.renewed:
            self.saved |= {binding.protocol: binding for binding in renewed}
        self._arm()
        self.check(actions)

    def check(self, actions: list[Action]) -> None:
        """The kernel has the neighbours that the cache has, and multicast goes to just these."""
        (cache,) = self.agent.domains.values()
        for action in actions:
            if isinstance(action, InstallNeighbour | RemoveNeighbour) and not self.asked[action.protocol]:
                binding = cache.get(action.protocol)
                assert self.neighbours.get(action.protocol) == (binding and binding.nbma), self._where()
        self.unchecked += 1
        if self.unchecked >= max(EVERY, len(cache) // 3):
            self.unchecked = 0
            self.check_all(cache)

    def check_all(self, cache: Cache) -> None:
        """The same of everything that the router knows."""
        for protocol in {binding.protocol for binding in cache} | self.neighbours.keys():
            binding = cache.get(protocol)
            if not self.asked[protocol]:
                assert self.neighbours.get(protocol) == (binding and binding.nbma), self._where()
        wanted = set(self.config.map_multicast)
        assert self.shortcuts == {s.prefix: s.via for s in self.agent.shortcuts(self.config.name)}, (
            self._where()
        )
        if self.config.map_multicast_dynamic:
            wanted |= {binding.nbma for binding in cache if not binding.static}
        assert self.multicast == wanted, self._where()

    def _where(self) -> str:
        return f"{self.name} at {self.network.now:.3f} s"

    def _install(self, action: InstallNeighbour) -> None:
        conditions, rng = self.network.conditions, self.network.rng
        taken = action.token is None or rng.random() >= conditions.refusal
        if taken:
            self.neighbours[action.protocol] = action.nbma
        if action.token is None:
            return
        token, life = action.token, self.life
        self.asked[action.protocol] += 1
        self.verdict_at = max(self.verdict_at, self.network.now + rng.uniform(*conditions.verdict_s))

        def verdict() -> None:
            if self.life == life:
                self.asked[action.protocol] -= 1
                self.carry_out(self.agent.installed(token, taken, self.network.now))

        self.network.at(self.verdict_at, verdict)

    def _arm(self) -> None:
        deadline = self.agent.deadline()
        if deadline is None or deadline == self._timer:
            return
        self._timer, life = deadline, self.life

        def tick() -> None:
            if self.life != life or self._timer != deadline:
                return
            self._timer = None
            now = self.network.now
            actions = self.agent.tick(now)
            following = self.agent.deadline()
            assert following is None or following > now, f"{self.name} would tick for ever"
            self.carry_out(actions)

        self.network.at(max(deadline, self.network.now), tick)


class Network:
    """The underlay, the clock, and everything that is still to happen."""

    def __init__(self, seed: int, conditions: Conditions) -> None:
        self.rng = random.Random(seed)
        self.conditions = conditions
        self.now = 0.0
        self.owner: dict[IPv4Address, Router] = {}
        self.cut: set[str] = set()
        """Names of routers that no packet reaches or leaves."""
        self.delivered = 0
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    def later(self, delay_s: float, do: Callable[[], None]) -> None:
        """Have something happen after a while."""
        self.at(self.now + delay_s, do)

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Have something happen at a time; what was asked for first happens first."""
        heapq.heappush(self._queue, (when, next(self._order), do))

    def run(self, until: float) -> None:
        """Let virtual time pass."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, do = heapq.heappop(self._queue)
            do()
        self.now = until

    def release(self, router: Router) -> None:
        """Its address belongs to nobody now."""
        if router.nbma is not None and self.owner.get(router.nbma) is router:
            del self.owner[router.nbma]

    def send(self, sender: Router, nbma: IPv4Address, data: bytes) -> None:
        """Put a packet on its way, or two, or none."""
        source = sender.nbma
        if source is None or sender.name in self.cut:
            return
        copies = 2 if self.rng.random() < self.conditions.duplication else 1
        for _ in range(copies):
            if self.rng.random() >= self.conditions.loss:
                delay_s = self.rng.uniform(*self.conditions.delay_s)
                self.later(delay_s, lambda source=source: self._arrive(source, nbma, data))  # type: ignore[misc]

    def _arrive(self, source: IPv4Address, nbma: IPv4Address, data: bytes) -> None:
        receiver = self.owner.get(nbma)
        if receiver is not None and receiver.alive and receiver.name not in self.cut:
            self.delivered += 1
            receiver.carry_out(receiver.agent.receive(receiver.config.name, data, source, self.now))
