"""Registrations a second that one hub sustains, ours against FRR's nhrpd under the same stream.

CPU seconds and not the rate are what to judge by: generator and hub share the processors. The
figures of nhrpd count zebra too, without which it installs nothing; ours count the node's zebra,
which hears of the same neighbours.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import nodes
from tests.bench.figures import Figure, say
from tests.bench.generator import WINDOW, Generator, Outcome
from tests.bench.memory import Memory, memory_of
from tests.bench.nodes import KINDS, Kind, Node

NEW_AT_MOST, REFRESH_AT_MOST = 0.5, 1.0
"""Goals: our node's CPU time for each of nhrpd's seconds."""
QUIET_S = 0.5
SLICES = 5
THRESHOLDS = Path("/proc/sys/net/ipv4/neigh/default")
ROOM = 65536


@dataclass(slots=True)
class Run:
    """One stream, sent in slices, and what it cost."""

    requests: int = 0
    answered: int = 0
    seconds: float = 0.0
    """While requests were open."""
    cpu_s: Counter[str] = field(default_factory=Counter)
    """CPU seconds of each process of the node."""
    slices: list[float] = field(default_factory=list)
    """CPU seconds of the whole node a thousand answered registrations, of each slice."""

    def add(self, outcome: Outcome, before: dict[str, float], after: dict[str, float]) -> None:
        """A slice."""
        self.requests += outcome.requests
        self.answered += len(outcome.answers)
        self.seconds += outcome.seconds
        spent = {name: now - before[name] for name, now in after.items()}
        self.cpu_s.update(spent)
        self.slices.append(1000 * sum(spent.values()) / max(1, len(outcome.answers)))

    @property
    def a_thousand(self) -> float:
        """The median slice: one that the rest of the host disturbed counts for no more than another."""
        return statistics.median(self.slices)


@dataclass(frozen=True, slots=True)
class Hub:
    """One kind of hub and the generator before it."""

    kind: Kind
    node: Node
    generator: Generator
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    """(`first`, `refresh` or `burst`; spokes) -> what it cost."""

    def register(self, what: str, spokes: int, first: int, count: int, window: int = WINDOW) -> None:
        """Send a slice of a run."""
        before = _when_quiet(self.node)
        outcome = self.generator.run(first, count, window)
        self.runs.setdefault((what, spokes), Run()).add(outcome, before, _when_quiet(self.node))

    def memory(self) -> Memory:
        """Of the process that speaks NHRP."""
        return memory_of(self.node.processes()["agent" if self.kind == "ours" else "nhrpd"])


def measure(sizes: tuple[int, ...], burst: int) -> list[Figure]:
    """Both kinds of hub, at each size, and the burst at the largest."""
    figures: list[Figure] = []
    for spokes in sizes:
        with room_for_neighbours(), contextlib.ExitStack() as stack:
            hubs = [_hub(kind, stack) for kind in KINDS]
            for what in ("first", "refresh"):
                say(f"registrations: {spokes} spokes, {what}")
                _by_turns(hubs, what, spokes)
            if spokes == max(sizes):
                for hub in hubs:
                    say(f"registrations: {hub.kind}, {burst} more at once")
                    hub.register("burst", burst, spokes, burst, window=burst)
            where = f"registrations, {spokes:,} spokes"
            for hub in hubs:
                figures += _figures(hub, where)
            figures += _ratios(hubs[0], hubs[1], where)
    return figures


def _hub(kind: Kind, stack: contextlib.ExitStack) -> Hub:
    """A hub that answers."""
    world = stack.enter_context(nodes.running(kind, nodes.HUB))
    generator = stack.enter_context(contextlib.closing(Generator(world)))
    generator.until_served()
    return Hub(kind, world.nodes["hub"], generator)


def _by_turns(hubs: list[Hub], what: str, spokes: int) -> None:
    """Slices by turns: what else the processors do meanwhile falls on both hubs alike."""
    slice_ = max(1, spokes // SLICES)
    for first in range(0, spokes, slice_):
        for hub in hubs:
            hub.register(what, spokes, first, min(slice_, spokes - first))


def _when_quiet(hub: Node) -> dict[str, float]:
    """The CPU clocks once nothing more is done: zebra works on after the answer."""
    deadline, now = time.monotonic() + 60, hub.cpu_s()
    while True:
        before = now
        time.sleep(QUIET_S)
        now = hub.cpu_s()
        if sum(now.values()) - sum(before.values()) < 0.02 * QUIET_S:
            return now
        assert time.monotonic() < deadline, "the hub does not come to rest"


@contextlib.contextmanager
def room_for_neighbours() -> Iterator[None]:
    """Raise this host's neighbour limits meanwhile: nhrpd's neighbours count, ours are exempt."""
    before = {name: (THRESHOLDS / name).read_text() for name in ("gc_thresh3", "gc_thresh2", "gc_thresh1")}
    try:
        for name in before:
            (THRESHOLDS / name).write_text(str(ROOM))
        yield
    finally:
        for name, value in before.items():
            (THRESHOLDS / name).write_text(value)


def _figures(hub: Hub, where: str) -> Iterator[Figure]:
    for (what, spokes), run in hub.runs.items():
        name = f"{hub.kind}: {what}" if what != "burst" else f"{hub.kind}: {spokes:,} more at once"
        shares = ", ".join(f"{who} {1000 * spent / run.requests:.2f}"
                           for who, spent in sorted(run.cpu_s.items()) if spent >= 0.01)  # fmt: skip
        rate = run.answered / run.seconds if run.seconds else None
        yield Figure(where, f"{name}: lost", run.requests - run.answered, "requests",
                     0 if hub.kind == "ours" else None)  # fmt: skip
        yield Figure(where, name, rate, "1/s")
        yield Figure(where, f"{name}: CPU", run.a_thousand, "CPU s / 1,000", note=shares)
    yield Figure(where, f"{hub.kind}: memory after these, Pss", hub.memory().pss_mb, "MB")


def _ratios(ours: Hub, theirs: Hub, where: str) -> Iterator[Figure]:
    for (what, spokes), run in ours.runs.items():
        if what == "burst":
            continue  # it is about what is lost, and who drops a request saves its work
        ratio = run.a_thousand / theirs.runs[what, spokes].a_thousand
        at_most = REFRESH_AT_MOST if what == "refresh" else NEW_AT_MOST
        yield Figure(where, f"ours / nhrpd: {what}: CPU", ratio, "ratio", at_most)
