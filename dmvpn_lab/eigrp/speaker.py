"""EIGRP of one router: packets and times in, actions out.

`receive()`, `tick()` and the interface events return what the shell must do, in that order; the
core never waits, sends or reads a clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.eigrp import announce, entrance, hello
from dmvpn_lab.eigrp.actions import Action, Notify
from dmvpn_lab.eigrp.authentication import KeySequence
from dmvpn_lab.eigrp.config import ProcessConfig
from dmvpn_lab.eigrp.constants import (
    EXPEDITED_S,
    GOODBYE_K,
    RETRIES,
    SIA_HALF_S,
    Flag,
    Opcode,
    RouteFlag,
)
from dmvpn_lab.eigrp.dual import EVENTS, Event, Peer, Topology
from dmvpn_lab.eigrp.installed import Installed
from dmvpn_lab.eigrp.link import Link, Sequencer
from dmvpn_lab.eigrp.neighbour import Neighbour
from dmvpn_lab.eigrp.packet import Packet
from dmvpn_lab.eigrp.stuck import Stuck
from dmvpn_lab.eigrp.timers import Timers
from dmvpn_lab.eigrp.tlv import (
    NONE,
    Parameters,
    Route,
    Termination,
)

RESTART_STEP_S = 0.5
"""Between two looks whether all neighbours have marked the end of their tables."""


class Speaker:
    """`router eigrp`, at work."""

    def __init__(self, config: ProcessConfig, *, sequence: int = 0, restarting: bool = False,
                 counters: Counter[str] | None = None, offset_s: float = 0.0) -> None:  # fmt: skip
        """`sequence`: of the last packet, so to speak; random, or a peer takes our first for an old one.
        `offset_s`: what makes of `now` seconds since 1970, for authentication."""
        self.config = config
        self.links: dict[str, Link] = {}
        self.counters: Counter[str] = Counter() if counters is None else counters
        self.topology = Topology(self._may_be_asked, config.maximum_paths)
        self._interfaces = {each.name: each for each in config.interfaces}
        self._summaries = {s for each in config.interfaces for s in each.summaries}
        self._timers = Timers()
        self._sequencer = Sequencer(sequence)
        self._key_sequence = KeySequence(offset_s)
        self._installed = Installed()
        self._sia = Stuck()
        self._number = 0
        self._restarting = restarting
        self._restart_ends: float | None = None
        """When the restart is over, even if a neighbour has not marked the end of its table."""
        self._actions: list[Action] = []

    # --- interfaces -----------------------------------------------------------------------------------

    def interface_up(self, name: str, now: float) -> list[Action]:
        """An interface has its address and carries packets."""
        config = self._interfaces[name]
        if name in self.links:
            return []
        self._key_sequence.at(now)
        link = Link(config, self.config, self._sequencer, self._key_sequence, self._timers,
                    self.counters, self._route_for)  # fmt: skip
        link.restarting = self._restarting
        if self._restarting and self._restart_ends is None:
            self._restart_ends = now + max(each.hold_s for each in self.config.interfaces)
            self._timers.set("restart", now + 2 * max(each.hello_s for each in self.config.interfaces))
        self.links[name] = link
        for prefix, path in announce.own_routes(config, self.config.router_id).items():
            self.topology.hear(Event.UPDATE, prefix, (name, NONE), path)
        if not config.passive:
            self._actions.append(link.hello(now))
        return self._finish(now)

    def interface_down(self, name: str, now: float) -> list[Action]:
        """It does not any more."""
        link = self.links.pop(name, None)
        if link is None:
            return []
        for neighbour in tuple(link.neighbours.values()):
            self._drop(link, neighbour, "interface down")
        self._timers.cancel(("hello", name))
        self._timers.cancel(("pace", name))
        for prefix in announce.own_routes(link.config, self.config.router_id):
            self.topology.withdraw(prefix, (name, NONE))
        return self._finish(now)

    def peers_changed(self, name: str, now: float) -> list[Action]:
        """Somebody new hears us: say hello before our turn, so that no hold time runs out."""
        link = self.links.get(name)
        if link is None or link.config.passive:
            return []
        link.hello_soon(now)
        return self.tick(now)

    def _restarted(self, now: float) -> None:
        """Once every neighbour has said all, it is our turn: what we leave out, they forget."""
        waiting = any(not n.ended for link in self.links.values() for n in link.neighbours.values())
        if waiting and self._restart_ends is not None and now < self._restart_ends:
            self._timers.set("restart", now + RESTART_STEP_S)
            return
        self._restarting = False
        for link in self.links.values():
            link.restarting = False
            for neighbour in link.neighbours.values():
                if neighbour.both_ways:
                    self._up(link, neighbour)

    # --- time -----------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When `tick` is due; None when nothing is."""
        return self._timers.deadline()

    def hold_left(self, neighbour: Neighbour, now: float) -> float:
        """Seconds until a neighbour is given up, unless it says something."""
        return (self._timers.get(("hold", neighbour.peer)) or now) - now

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        self._key_sequence.at(now)
        for key in self._timers.due(now):
            match key:
                case ("hello", str(name)):
                    self._actions.append(self.links[name].hello(now))
                case ("hold", (str(name), IPv4Address() as address)):
                    link = self.links[name]
                    self._drop(link, link.neighbours[address], "holding time expired", tell=True)
                case ("rto", (str(name), IPv4Address() as address)):
                    self._again(self.links[name], self.links[name].neighbours[address])
                case ("sia", IPv4Network() as prefix):
                    self._stuck(prefix, now)
                case "restart":
                    self._restarted(now)
        return self._finish(now)

    def _again(self, link: Link, neighbour: Neighbour) -> None:
        if neighbour.tries >= RETRIES:
            self._drop(link, neighbour, "retry limit exceeded", tell=True)
        else:
            link.again(neighbour)

    def _stuck(self, prefix: IPv4Network, now: float) -> None:
        entry = self.topology.entries.get(prefix)
        if entry is None or not entry.waiting:
            self._sia.forget(prefix)
            return
        ask, lost = self._sia.overdue(prefix, tuple(entry.waiting))
        for name, address in ask:
            link = self.links[name]
            route = announce.route_of(prefix, self.topology, self.config, link.config)
            link.enqueue(link.neighbours[address], Opcode.SIA_QUERY, [route])
        for name, address in lost:
            link = self.links[name]
            self._drop(link, link.neighbours[address], "stuck in active", tell=True)
        self._timers.set(("sia", prefix), now + SIA_HALF_S)

    # --- packets --------------------------------------------------------------------------------------

    def receive(self, interface: str, data: bytes, source: IPv4Address, now: float) -> list[Action]:
        """A packet came in; `data` begins after the IP header."""
        link = self.links.get(interface)
        if link is None or link.config.passive:
            return []
        self._key_sequence.at(now)
        known = link.neighbours.get(source)
        packet = entrance.admit(data, source, self.config.asn, link.config, known, self.counters)
        if packet is None:
            return []
        if packet.opcode == Opcode.HELLO and not packet.is_acknowledgment:
            self._hello(link, source, packet, now)
        elif (neighbour := link.neighbours.get(source)) is not None:
            self._timers.set(("hold", neighbour.peer), now + neighbour.hold_s)
            if packet.acknowledgment:
                self._acknowledged(link, neighbour, packet.acknowledgment, now)
            if packet.sequence and self._in_order(link, neighbour, packet):
                self._content(link, neighbour, packet)
        actions = self._finish(now)
        present = link.neighbours.get(source)
        ack = None if present is None else link.acknowledgment(present)
        return actions if ack is None else [*actions, ack]

    def _hello(self, link: Link, source: IPv4Address, packet: Packet, now: float) -> None:
        said = hello.read(packet, link.config.address.ip)
        neighbour = link.neighbours.get(source)
        if said is None:
            return
        if said.goodbye or not said.same_k:
            if neighbour is not None:
                self._drop(link, neighbour, "the peer said goodbye" if said.goodbye else "K-value mismatch")
            self.counters["k-value-mismatch"] += not said.goodbye
            return
        if neighbour is None:
            neighbour = self._discover(link, source, now)
        neighbour.hold_s, neighbour.stub = said.hold_s, said.stub
        neighbour.wide = link.config.wide and said.wide
        self._timers.set(("hold", neighbour.peer), now + neighbour.hold_s)
        if said.sequence is not None:
            named = link.config.address.ip in said.sequence.addresses
            neighbour.conditional = None if named else said.following

    def _discover(self, link: Link, source: IPv4Address, now: float) -> Neighbour:
        """A new neighbour: pending until it acknowledges our first update (section 5.3.5)."""
        neighbour = Neighbour(link.name, source, self._number, float(link.config.hold_s), now)
        self._number += 1
        link.neighbours[source] = neighbour
        if now - link.last_hello >= EXPEDITED_S:
            self._actions.append(link.hello(now))
        else:
            self._timers.set(("hello", link.name), link.last_hello + EXPEDITED_S)
        self._greet(link, neighbour)
        return neighbour

    def _greet(self, link: Link, neighbour: Neighbour, flags: int = 0) -> None:
        restart = Flag.RESTART if self._restarting else 0
        link.enqueue(neighbour, Opcode.UPDATE, (), Flag.INIT | restart | flags)

    def _acknowledged(self, link: Link, neighbour: Neighbour, sequence: int, now: float) -> None:
        link.acknowledged(neighbour, sequence, now)
        if not neighbour.up and not neighbour.queue:
            neighbour.both_ways = True
            if not self._restarting:
                self._up(link, neighbour)

    def _up(self, link: Link, neighbour: Neighbour) -> None:
        """Both ways work: the whole table, with its end marked."""
        neighbour.up = True
        routes = []
        for entry in self.topology:
            route = announce.route_of(entry.prefix, self.topology, self.config, link.config)
            # While a computation runs, a newcomer that was not asked must not build on what it knows.
            if not entry.active and route.metric.reachable:
                routes.append(route)
                link.announced.add(entry.prefix)
        link.enqueue(neighbour, Opcode.UPDATE, routes, Flag.END_OF_TABLE)
        facts = {"interface": link.name, "neighbour": str(neighbour.address)}
        self._actions.append(Notify("eigrp-neighbour-up", facts))

    def _in_order(self, link: Link, neighbour: Neighbour, packet: Packet) -> bool:
        """Whether a reliable packet is to be used. One that came before is acknowledged again."""
        sequence = packet.sequence
        if packet.opcode == Opcode.UPDATE and packet.flags & Flag.INIT:
            if neighbour.heard_init and sequence == neighbour.last_sequence:
                neighbour.acknowledge = sequence
                return False
            if neighbour.heard_init:
                neighbour = self._came_back(link, neighbour, packet)
            neighbour.heard_init = True
        elif not neighbour.heard_init:
            return False
        elif neighbour.is_old(sequence):
            neighbour.acknowledge = sequence
            return False
        elif packet.flags & Flag.CONDITIONAL_RECEIVE:
            expected, neighbour.conditional = neighbour.conditional, None
            if expected is None or expected not in (0, sequence):
                return False
        neighbour.last_sequence = neighbour.acknowledge = sequence
        return True

    def _came_back(self, link: Link, neighbour: Neighbour, packet: Packet) -> Neighbour:
        """It began anew. With the restart flag what it said is kept until it ends its table."""
        peer = neighbour.peer
        link.forget(neighbour)
        fresh = Neighbour(link.name, neighbour.address, neighbour.number, neighbour.hold_s, neighbour.since,
                          stub=neighbour.stub, wide=neighbour.wide)  # fmt: skip
        if packet.flags & Flag.RESTART:
            fresh.stale = {entry.prefix for entry in self.topology if peer in entry.paths}
            link.neighbours[peer[1]] = fresh
            self._greet(link, fresh, Flag.RESTART)
            self.topology.forgive(peer)
        else:
            self._gone(neighbour, "the peer restarted")
            link.neighbours[peer[1]] = fresh
            self._greet(link, fresh)
        return fresh

    def _content(self, link: Link, neighbour: Neighbour, packet: Packet) -> None:
        neighbour = link.neighbours[neighbour.address]
        if packet.opcode == Opcode.SIA_REPLY:
            for route in packet.routes:
                self._sia.answered(route.prefix, neighbour.peer)
            return
        for route in neighbour.spoken(packet.routes):
            neighbour.stale.discard(route.prefix)
            entry = self.topology.entries.get(route.prefix)
            if packet.opcode == Opcode.SIA_QUERY and entry is not None and entry.active:
                answer = announce.route_of(route.prefix, self.topology, self.config, link.config)
                busy = replace(answer.metric, flags=answer.metric.flags | RouteFlag.ACTIVE)
                answer = replace(answer, metric=busy)
                link.enqueue(neighbour, Opcode.SIA_REPLY, [answer])
            elif packet.opcode in EVENTS:
                event = EVENTS[Opcode(packet.opcode)]
                path = announce.path_of(route, link.config, neighbour.address)
                self.topology.hear(event, route.prefix, neighbour.peer, path)
        if packet.flags & Flag.END_OF_TABLE:
            neighbour.ended = True
            for prefix in neighbour.stale:
                self.topology.withdraw(prefix, neighbour.peer)
            neighbour.stale = set()

    # --- neighbours that go ---------------------------------------------------------------------------

    def _drop(self, link: Link, neighbour: Neighbour, reason: str, *, tell: bool = False) -> None:
        """End an adjacency; `tell` the neighbour, who may not know."""
        if tell:
            parting = Parameters(link.config.hold_s, (*GOODBYE_K, 0))
            self._actions.append(link.tell(neighbour.address, parting, Termination((neighbour.address,))))
        link.forget(neighbour)
        del link.neighbours[neighbour.address]
        self._timers.cancel(("hold", neighbour.peer))
        self._gone(neighbour, reason)

    def _gone(self, neighbour: Neighbour, reason: str) -> None:
        neighbour.up = False
        self.topology.lose(neighbour.peer)
        facts = {"interface": neighbour.interface, "neighbour": str(neighbour.address), "reason": reason}
        self._actions.append(Notify("eigrp-neighbour-down", facts))

    # --- what follows from all that -------------------------------------------------------------------

    def _may_be_asked(self) -> Iterable[Peer]:
        """The neighbours that get queries: no stub, and none that is still pending."""
        return (n.peer for link in self.links.values() for n in link.neighbours.values()
                if n.up and n.stub is None)  # fmt: skip

    def _route_for(self, link: Link, prefix: IPv4Network, opcode: int) -> Route | None:
        entry = self.topology.entries.get(prefix)
        if opcode == Opcode.UPDATE and entry is not None and entry.active:
            return None  # who was asked knows; all will hear how it ended
        route = announce.route_of(prefix, self.topology, self.config, link.config)
        if route.metric.reachable:
            link.announced.add(prefix)
        elif opcode == Opcode.UPDATE:
            if prefix not in link.announced:
                return None
            link.announced.discard(prefix)
        return route

    def _finish(self, now: float) -> list[Action]:
        """Turn what DUAL decided into routes and packets."""
        changed: dict[IPv4Network, None] = {}
        replies: dict[Peer, dict[IPv4Network, None]] = {}
        while (out := self.topology.take()).changed or out.updates or out.queries or out.replies:
            changed |= out.changed
            for link in self.links.values():
                link.updates |= out.updates
            for prefix, peers in out.queries:
                self._sia.forget(prefix)
                self._timers.set(("sia", prefix), now + SIA_HALF_S)
                for name in {name for name, _ in peers}:
                    self.links[name].queries[prefix] = frozenset(p for p in peers if p[0] == name)
            for prefix, peer in out.replies:
                replies.setdefault(peer, {})[prefix] = None
            self._summarize(out.changed)
        self._actions += self._installed.changes(changed, self.topology)
        for peer, prefixes in replies.items():
            self._reply(peer, prefixes)
        for link in self.links.values():
            self._actions += link.transmit(now)
        actions, self._actions = self._actions, []
        return actions

    def _reply(self, peer: Peer, prefixes: Iterable[IPv4Network]) -> None:
        link = self.links.get(peer[0])
        neighbour = link.neighbours.get(peer[1]) if link is not None else None
        if link is None or neighbour is None:
            return
        routes = [announce.route_of(p, self.topology, self.config, link.config) for p in prefixes]
        if not neighbour.up:  # it would not be asked before the distance grows, so it must know none
            routes = [replace(route, metric=route.metric.withdrawn()) for route in routes]
        link.announced |= {r.prefix for r in routes if r.metric.reachable}
        link.enqueue(neighbour, Opcode.REPLY, routes)

    def _summarize(self, changed: Iterable[IPv4Network]) -> None:
        for summary in self._summaries:
            if any(prefix.subnet_of(summary) and prefix != summary for prefix in changed):
                parts = announce.refresh_summary(summary, self.topology)
                for link in self.links.values():
                    link.updates |= parts
