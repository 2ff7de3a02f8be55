"""DUAL (RFC 7868 section 3): for each destination the shortest way that is free of loops.

A destination is passive, or active with the origin flag of its diffusing computation (Figure 1).
The numbers in the comments are the transitions of section 3.5. What must be said to whom is
collected in an `Outbox`; the values are read when the packet is made, so that they are the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.eigrp.constants import Opcode
from dmvpn_lab.eigrp.metric import NO_ROUTE
from dmvpn_lab.eigrp.tlv import Exterior
from dmvpn_lab.eigrp.wide import Vector

Peer = tuple[str, IPv4Address]
"""(interface, neighbour). Of what is our own the address is 0.0.0.0."""
INFINITE = 1 << 80
OUTSIDE = 1 << 72
"""Added to the distance of an external route: every internal one is nearer (section 5.4.1)."""
NULL = "Null0"
"""The interface of a summary."""


class Origin(IntEnum):
    """Why a destination is active."""

    INCREASED = 0
    """We asked, and then the way through the successor became longer."""
    OURS = 1
    """We asked."""
    QUERIED = 2
    """We asked, and then the successor asked; or it asked, and then its way became longer."""
    SUCCESSOR = 3
    """The successor asked."""


class Event(Enum):
    """What happened to a path."""

    UPDATE = "update"
    QUERY = "query"
    REPLY = "reply"
    LOST = "lost"


EVENTS = {
    Opcode.UPDATE: Event.UPDATE,
    Opcode.QUERY: Event.QUERY,
    Opcode.SIA_QUERY: Event.QUERY,
    Opcode.REPLY: Event.REPLY,
}
"""What a packet means to its destinations."""


@dataclass(frozen=True, slots=True)
class Path:
    """What one neighbour (or our own interface) says of a destination."""

    reported: Vector
    """As the neighbour said it."""
    total: Vector
    """With the link to the neighbour."""
    next_hop: IPv4Address
    exterior: Exterior | None = None
    own: bool = False
    """Connected to us, or a summary of ours."""

    @property
    def reported_distance(self) -> int:
        """The neighbour's distance, for the feasibility condition."""
        return 0 if self.own else self._cost(self.reported)

    @property
    def distance(self) -> int:
        """Ours through it."""
        return self._cost(self.total)

    def _cost(self, metric: Vector) -> int:
        if not metric.reachable:
            return INFINITE
        return metric.distance + (OUTSIDE if self.exterior else 0)


@dataclass(slots=True)
class Entry:
    """One destination in the topology table."""

    prefix: IPv4Network
    paths: dict[Peer, Path] = field(default_factory=dict)
    feasible_distance: int = INFINITE
    distance: int = INFINITE
    metric: Vector = NO_ROUTE
    """What we say of it."""
    exterior: Exterior | None = None
    successors: tuple[Peer, ...] = ()
    """In use, the first is the one that counts for DUAL."""
    origin: Origin | None = None
    """None: passive."""
    waiting: set[Peer] = field(default_factory=set)
    """Neighbours that have not replied."""
    owed: Peer | None = None
    """The successor that waits for our reply."""

    @property
    def active(self) -> bool:
        """A computation is under way."""
        return self.origin is not None

    @property
    def successor(self) -> Peer | None:
        """The one that counts for DUAL."""
        return self.successors[0] if self.successors else None

    def best(self) -> int:
        """The shortest distance through anybody."""
        return min((path.distance for path in self.paths.values()), default=INFINITE)

    def through(self, peer: Peer | None) -> int:
        """The distance through one neighbour."""
        path = self.paths.get(peer) if peer is not None else None
        return INFINITE if path is None else path.distance


@dataclass(slots=True)
class Outbox:
    """What is to be said and done after events."""

    updates: dict[IPv4Network, None] = field(default_factory=dict)
    """Our metric has changed."""
    queries: list[tuple[IPv4Network, frozenset[Peer]]] = field(default_factory=list)
    replies: list[tuple[IPv4Network, Peer]] = field(default_factory=list)
    changed: dict[IPv4Network, None] = field(default_factory=dict)
    """Successors may have changed."""


class Topology:
    """The topology table."""

    def __init__(self, may_be_asked: Callable[[], Iterable[Peer]], maximum_paths: int = 4) -> None:
        self.entries: dict[IPv4Network, Entry] = {}
        self.out = Outbox()
        self._may_be_asked = may_be_asked
        self._maximum_paths = maximum_paths

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def take(self) -> Outbox:
        """What came together since the last time."""
        out, self.out = self.out, Outbox()
        return out

    # --- events -------------------------------------------------------------------------------------

    def hear(self, event: Event, prefix: IPv4Network, peer: Peer, path: Path) -> None:
        """A destination in an update, query or reply of a neighbour, or of our own."""
        known = path.distance < INFINITE
        entry = self.entries.get(prefix)
        if entry is None:
            if not known or event is Event.REPLY:
                if event is Event.QUERY:
                    self.out.replies.append((prefix, peer))
                return
            entry = self.entries[prefix] = Entry(prefix)
        if event is Event.REPLY and not entry.active:
            event = Event.UPDATE  # to a question that has no meaning any more; what it says still counts
        before = entry.through(peer)
        if known:
            entry.paths[peer] = path
        else:
            entry.paths.pop(peer, None)
        self._run(entry, event, peer, before)

    def withdraw(self, prefix: IPv4Network, peer: Peer) -> None:
        """One path is gone: of a neighbour that came back without it, or of our own."""
        entry = self.entries.get(prefix)
        if entry is not None and peer in entry.paths:
            before = entry.through(peer)
            del entry.paths[peer]
            self._run(entry, Event.UPDATE, peer, before)

    def lose(self, peer: Peer) -> None:
        """A neighbour is gone."""
        for entry in tuple(self.entries.values()):
            if peer in entry.paths or peer in entry.waiting or entry.owed == peer:
                before = entry.through(peer)
                entry.paths.pop(peer, None)
                self._run(entry, Event.LOST, peer, before)

    def forgive(self, peer: Peer) -> None:
        """A neighbour began anew and has forgotten what it was asked and what it asked."""
        for entry in tuple(self.entries.values()):
            if entry.owed == peer:
                entry.owed = None
            if peer in entry.waiting:
                entry.waiting.discard(peer)
                self._conclude(entry)
                self._clean(entry)

    # --- the state machine --------------------------------------------------------------------------

    def _run(self, entry: Entry, event: Event, peer: Peer, before: int) -> None:
        if entry.active:
            self._active(entry, event, peer, before)
        else:
            self._passive(entry, event, peer)
        self._clean(entry)

    def _clean(self, entry: Entry) -> None:
        if not entry.paths and not entry.active and entry.distance == INFINITE:
            self.entries.pop(entry.prefix, None)

    def _passive(self, entry: Entry, event: Event, peer: Peer) -> None:
        """Transitions 1 to 4."""
        nothing = entry.distance == INFINITE and entry.best() == INFINITE
        if nothing or self._feasible(entry):
            self._settle(entry)
            if event is Event.QUERY:
                self.out.replies.append((entry.prefix, peer))
            return
        asked = event is Event.QUERY and peer == entry.successor
        if event is Event.QUERY and not asked:
            self.out.replies.append((entry.prefix, peer))
        entry.owed = peer if asked else None
        self._ask(entry, Origin.SUCCESSOR if asked else Origin.OURS)

    def _active(self, entry: Entry, event: Event, peer: Peer, before: int) -> None:
        """Transitions 5 to 10, and with the last reply the others."""
        assert entry.origin is not None
        if event is Event.QUERY and peer == entry.successor:
            entry.owed = peer
            if entry.origin in (Origin.INCREASED, Origin.OURS):
                entry.origin = Origin.QUERIED
        elif event is Event.QUERY:
            self.out.replies.append((entry.prefix, peer))
        elif peer == entry.successor and entry.through(peer) > before:
            longer = {Origin.OURS: Origin.INCREASED, Origin.SUCCESSOR: Origin.QUERIED}
            entry.origin = longer.get(entry.origin, entry.origin)
        if event in (Event.REPLY, Event.LOST):
            entry.waiting.discard(peer)
        if event is Event.LOST and entry.owed == peer:
            entry.owed = None
        if entry.successor is not None and entry.through(entry.successor) == INFINITE:
            self.out.changed[entry.prefix] = None  # it carries no packets any more
        self._conclude(entry)

    def _conclude(self, entry: Entry) -> None:
        """Transitions 11 to 16, once all have replied."""
        if entry.waiting:
            return
        if entry.origin in (Origin.INCREASED, Origin.QUERIED) and not self._feasible(entry):
            self._ask(entry, Origin.OURS if entry.origin is Origin.INCREASED else Origin.SUCCESSOR)
            return
        if entry.origin in (Origin.OURS, Origin.SUCCESSOR):
            entry.feasible_distance = INFINITE
        entry.origin = None
        self._settle(entry)
        self.out.updates[entry.prefix] = None
        if entry.owed is not None:
            self.out.replies.append((entry.prefix, entry.owed))
            entry.owed = None

    def _ask(self, entry: Entry, origin: Origin) -> None:
        """Begin a diffusing computation; until it ends, successor and distance stay as they are."""
        entry.origin = origin
        path = entry.paths.get(entry.successor) if entry.successor is not None else None
        entry.distance = entry.feasible_distance = entry.through(entry.successor)
        entry.metric = entry.metric.withdrawn() if path is None else path.total
        entry.successors = entry.successors[:1]
        entry.waiting = {peer for peer in self._may_be_asked() if peer != entry.owed}
        self.out.changed[entry.prefix] = None
        self.out.updates.pop(entry.prefix, None)  # the query says it
        if entry.waiting:
            self.out.queries.append((entry.prefix, frozenset(entry.waiting)))
        self._conclude(entry)

    def _feasible(self, entry: Entry) -> list[Peer]:
        """The neighbours on a shortest way that are nearer than we ever were (section 3.3)."""
        best = entry.best()
        return [
            peer
            for peer, path in entry.paths.items()
            if path.distance == best and path.reported_distance < entry.feasible_distance
        ]

    def _settle(self, entry: Entry) -> None:
        """Use the shortest ways; the present successor stays the first if it is among them."""
        found = self._feasible(entry)
        found.sort(key=lambda peer: peer != entry.successor)
        successors = tuple(found[: self._maximum_paths])
        path = entry.paths[found[0]] if found else None
        metric = entry.metric.withdrawn() if path is None else path.total
        exterior = entry.exterior if path is None else path.exterior
        # Where a successor is, split horizon is silent; and its address may be our next hop.
        placed = successors[:1] != entry.successors[:1] or _interfaces(successors) != _interfaces(
            entry.successors
        )
        if placed or (metric, exterior) != (entry.metric, entry.exterior):
            self.out.updates[entry.prefix] = None
        self.out.changed[entry.prefix] = None
        entry.metric, entry.exterior, entry.successors = metric, exterior, successors
        entry.distance = INFINITE if path is None else path.distance
        entry.feasible_distance = min(entry.feasible_distance, entry.distance)


def _interfaces(peers: Iterable[Peer]) -> set[str]:
    return {name for name, _ in peers}
