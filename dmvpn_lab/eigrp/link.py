"""One interface at work: its neighbours, and the reliable transport to them (RFC 7868 section 5.2).

A packet for all is multicast once. Who has not yet acknowledged an earlier one must not take it out
of order: a hello names those neighbours, everybody else enters conditional receive mode, and the
packet carries the CR flag. The others get it by unicast when their turn comes. No neighbour has more
than one packet in flight. Between two packets the link rests for as long as a full one takes at the
share of the bandwidth that EIGRP may use (section 5.2.1); hellos and acknowledgments do not wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.eigrp.actions import Send
from dmvpn_lab.eigrp.authentication import KeySequence, seal
from dmvpn_lab.eigrp.config import InterfaceConfig, ProcessConfig
from dmvpn_lab.eigrp.constants import (
    GROUP,
    HEADER_LENGTH,
    NEWCOMERS_S,
    SOFTWARE,
    WIDE_SOFTWARE,
    Flag,
    Opcode,
)
from dmvpn_lab.eigrp.dual import Peer
from dmvpn_lab.eigrp.neighbour import Message, Neighbour
from dmvpn_lab.eigrp.packet import Packet, encode
from dmvpn_lab.eigrp.timers import Timers
from dmvpn_lab.eigrp.tlv import (
    MulticastSequence,
    Parameters,
    Route,
    Sequence,
    StubInfo,
    Tlv,
    Version,
    encode_tlv,
)
from dmvpn_lab.eigrp.wide import narrowed, widened

IP_HEADER = 20
NAMES_MOST = 200
"""Neighbours that a hello names; with more, everybody gets the packet by unicast."""
PACING_LEAST_S = 0.005
"""A shorter rest is none."""

RouteFor = Callable[["Link", IPv4Network, int], Route | None]
"""What an update or query on that link says of a destination now; None: nothing."""


class Sequencer:
    """Sequence numbers of one router: 1 to 2^32 - 1, and again from 1."""

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def next(self) -> int:
        """The next one."""
        self.last = self.last % ((1 << 32) - 1) + 1
        return self.last


class Link:
    """An interface that is up."""

    def __init__(
        self, config: InterfaceConfig, process: ProcessConfig, sequencer: Sequencer,
        key_sequence: KeySequence, timers: Timers, counters: Counter[str], route_for: RouteFor,
    ) -> None:  # fmt: skip
        self.config = config
        self.name = config.name
        self.neighbours: dict[IPv4Address, Neighbour] = {}
        self.announced: set[IPv4Network] = set()
        """Destinations that a neighbour may believe to be reachable through us."""
        self.updates: dict[IPv4Network, None] = {}
        self.queries: dict[IPv4Network, frozenset[Peer]] = {}
        self.restarting = False
        self.last_hello = float("-inf")
        self._asn = process.asn
        self._stub = process.stub
        self._router_id = process.router_id
        self._sequencer = sequencer
        self._key_sequence = key_sequence
        self._timers = timers
        self._counters = counters
        self._route_for = route_for
        self._ready: dict[IPv4Address, None] = {}
        """Neighbours to whom the first of their queue is to be sent."""
        self._paced_until = 0.0
        self.pacing_s = config.pacing_s if config.pacing_s >= PACING_LEAST_S else 0.0
        """Rest between two reliable packets."""

    # --- hellos and acknowledgments ---------------------------------------------------------------

    def hello(self, now: float, *extra: Tlv) -> Send:
        """A hello to all."""
        self.last_hello = now
        self._timers.set(("hello", self.name), now + self.config.hello_s)
        tlvs: list[Tlv] = [
            Parameters(self.config.hold_s),
            Version(WIDE_SOFTWARE if self.config.wide else SOFTWARE),
        ]
        if self._stub is not None:
            tlvs.append(StubInfo(self._stub))
        flags = Flag.RESTART if self.restarting else 0
        return self._send(GROUP, Packet(Opcode.HELLO, self._asn, flags, tlvs=(*tlvs, *extra)))

    def hello_soon(self, now: float) -> None:
        """The next hello now, but one in NEWCOMERS_S at most: it goes to all, however many are new."""
        due = max(now, self.last_hello + NEWCOMERS_S)
        self._timers.set(("hello", self.name), min(due, self._timers.get(("hello", self.name)) or due))

    def tell(self, address: IPv4Address, *tlvs: Tlv) -> Send:
        """A hello to one neighbour only."""
        return self._send(address, Packet(Opcode.HELLO, self._asn, tlvs=tlvs))

    def acknowledgment(self, neighbour: Neighbour) -> Send | None:
        """What is still to be acknowledged, in a packet of its own."""
        if neighbour.acknowledge == 0:
            return None
        number, neighbour.acknowledge = neighbour.acknowledge, 0
        return self._send(neighbour.address, Packet(Opcode.HELLO, self._asn, acknowledgment=number))

    # --- reliable packets ------------------------------------------------------------------------------

    def enqueue(self, neighbour: Neighbour, opcode: int, routes: Iterable[Route], flags: int = 0) -> None:
        """Packets for one neighbour; `flags` are those of the last. No routes: one packet without."""
        chunks = list(self._chunks(routes)) or [()]
        for number, chunk in enumerate(chunks, 1):
            own = flags if number == len(chunks) else 0
            self._append(neighbour, Message(self._sequencer.next(), opcode, own, chunk))

    def acknowledged(self, neighbour: Neighbour, sequence: int, now: float) -> None:
        """An acknowledgment has come."""
        if neighbour.acknowledged(sequence, now):
            self._timers.cancel(("rto", neighbour.peer))
            self._ready.pop(neighbour.address, None)
            if neighbour.queue:
                self._ready[neighbour.address] = None

    def again(self, neighbour: Neighbour) -> None:
        """No acknowledgment in time: send once more."""
        self._ready[neighbour.address] = None

    def forget(self, neighbour: Neighbour) -> None:
        """The neighbour is gone."""
        neighbour.queue.clear()
        self._ready.pop(neighbour.address, None)
        self._timers.cancel(("rto", neighbour.peer))

    def up(self) -> list[Neighbour]:
        """The neighbours with which both ways work."""
        return [neighbour for neighbour in self.neighbours.values() if neighbour.up]

    def transmit(self, now: float) -> list[Send]:
        """What may leave now. Sets a timer when something must wait."""
        sends: list[Send] = []
        while self._ready or self.updates or self.queries:
            if self.pacing_s and now < self._paced_until:
                self._timers.set(("pace", self.name), self._paced_until)
                break
            if self._ready:
                neighbour = self.neighbours[next(iter(self._ready))]
                del self._ready[neighbour.address]
                if neighbour.queue:
                    sends.append(self._unicast(neighbour, now))
            elif not self._gather(now, sends):
                break
        return sends

    def _gather(self, now: float, sends: list[Send]) -> bool:
        """Make the next packet for all out of what is pending. False: it must wait."""
        present = self.up()
        if not present:
            self.updates.clear()
            self.queries.clear()
            return False
        if all(neighbour.queue for neighbour in present):
            return False  # everybody is busy: more may come together meanwhile
        everybody = frozenset(neighbour.peer for neighbour in present)
        opcode, peers, routes = self._pending(everybody)
        if not routes:
            return True
        if peers == everybody:
            sends += self._multicast(Message(self._sequencer.next(), opcode, 0, tuple(routes)), now)
        else:
            for neighbour in present:
                if neighbour.peer in peers:
                    self.enqueue(neighbour, opcode, routes)
        return True

    def _pending(self, everybody: frozenset[Peer]) -> tuple[int, frozenset[Peer], list[Route]]:
        """Opcode, receivers and routes of one packet, taken from what is pending."""
        opcode, peers = Opcode.UPDATE, everybody
        prefixes = list(self.updates)
        if not prefixes:
            opcode = Opcode.QUERY
            peers = next(iter(self.queries.values())) & everybody
            prefixes = [p for p, asked in self.queries.items() if asked & everybody == peers]
        routes: list[Route] = []
        left = self._room
        for prefix in prefixes:
            route = self._route_for(self, prefix, opcode)
            size = 0 if route is None else self._size(route)
            if size > left:
                break
            (self.updates if opcode == Opcode.UPDATE else self.queries).pop(prefix)
            if route is not None:
                routes.append(route)
                left -= size
        return opcode, peers, routes

    def _multicast(self, message: Message, now: float) -> list[Send]:
        present = self.up()
        idle = [neighbour for neighbour in present if not neighbour.queue]
        others = [n.address for n in self.neighbours.values() if not n.up or n.queue]
        if len(idle) == 1 or len(others) > NAMES_MOST:
            for neighbour in present:
                self._append(neighbour, message)
            return []
        sends, flags = [], message.flags
        if others:
            flags |= Flag.CONDITIONAL_RECEIVE
            sends.append(self.hello(now, Sequence(tuple(others)), MulticastSequence(message.sequence)))
        packet = Packet(message.opcode, self._asn, flags, message.sequence, tlvs=message.tlvs)
        sends.append(self._send(GROUP, packet))
        for neighbour in present:
            neighbour.queue.append(message)
        for neighbour in idle:
            self._timers.set(("rto", neighbour.peer), neighbour.transmitted(now))
        self._pace(now, len(present) if self.config.copies else 1)
        return sends

    def _unicast(self, neighbour: Neighbour, now: float) -> Send:
        message = neighbour.queue[0]
        if neighbour.tries:
            self._counters["retransmissions"] += 1
        self._timers.set(("rto", neighbour.peer), neighbour.transmitted(now))
        self._pace(now, 1)
        number, neighbour.acknowledge = neighbour.acknowledge, 0
        packet = Packet(
            message.opcode, self._asn, message.flags, message.sequence, number, message.tlvs
        )  # fmt: skip
        return self._send(neighbour.address, packet)

    def _append(self, neighbour: Neighbour, message: Message) -> None:
        neighbour.queue.append(message)
        if len(neighbour.queue) == 1:
            self._ready[neighbour.address] = None

    def _pace(self, now: float, copies: int) -> None:
        self._paced_until = max(now, self._paced_until) + copies * self.pacing_s

    def _send(self, destination: IPv4Address, packet: Packet) -> Send:
        self._counters[f"sent-{packet.kind}"] += 1
        data = encode(replace(packet, tlvs=self._formatted(destination, packet.tlvs)))
        if self.config.key is not None:
            data = seal(data, self.config.key, self.config.address.ip, self._key_sequence.value)
        return Send(self.name, destination, data)

    def _formatted(self, destination: IPv4Address, tlvs: Iterable[Tlv]) -> tuple[Tlv, ...]:
        """Routes in the format of who reads them; in a mixed network, in both (section 6.7.4)."""
        one = self.neighbours.get(destination)
        formats = self._formats() if one is None else {one.wide}
        found: list[Tlv] = []
        for tlv in tlvs:
            if isinstance(tlv, Route):
                found += [replace(tlv, metric=narrowed(tlv.metric))] if False in formats else []
                found += [self._wide(tlv)] if True in formats else []
            else:
                found.append(tlv)
        return tuple(found)

    def _formats(self) -> set[bool]:
        """Whether the neighbours read wide metrics."""
        return {neighbour.wide for neighbour in self.neighbours.values()} or {False}

    def _wide(self, route: Route) -> Route:
        return replace(route, metric=widened(route.metric), router_id=self._router_id)

    def _size(self, route: Route) -> int:
        """Octets of a route in a packet that everybody reads."""
        return sum(len(encode_tlv(tlv)) for tlv in self._formatted(GROUP, [route]))

    @property
    def _room(self) -> int:
        """Octets for TLVs in one packet."""
        authentication = 0 if self.config.key is None else self.config.key.size
        return self.config.mtu - IP_HEADER - HEADER_LENGTH - authentication

    def _chunks(self, routes: Iterable[Route]) -> Iterable[tuple[Route, ...]]:
        """Routes in packets that fit."""
        chunk: list[Route] = []
        left = self._room
        for route in routes:
            size = self._size(route)
            if size > left:
                yield tuple(chunk)
                chunk, left = [], self._room
            chunk.append(route)
            left -= size
        if chunk:
            yield tuple(chunk)
