"""Registrations a second that one hub sustains, ours against FRR's nhrpd under the same stream.

CPU seconds and not the rate are what to judge by: generator and hub share the processors. The
figures of nhrpd count zebra too, without which it installs nothing; ours count the node's zebra,
which hears of the same neighbours.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench import nodes
from tests.bench.figures import Figure, say
from tests.bench.generator import Generator, Outcome
from tests.bench.memory import Memory, memory_of
from tests.bench.nodes import KINDS, Kind, Node

GROUP = "registrations"
NEW_AT_MOST, REFRESH_AT_MOST = 0.5, 1.0
"""Goals: our node's CPU time for each of nhrpd's seconds."""
QUIET_S = 0.5
THRESHOLDS = Path("/proc/sys/net/ipv4/neigh/default")
ROOM = 65536


@dataclass(frozen=True, slots=True)
class Run:
    """One stream and what it cost."""

    outcome: Outcome
    cpu_s: dict[str, float]
    """CPU seconds of each process of the node."""

    @property
    def a_thousand(self) -> float:
        """CPU seconds of the whole node a thousand answered registrations."""
        return 1000 * sum(self.cpu_s.values()) / max(1, len(self.outcome.answers))


Runs = dict[tuple[str, int], Run]
"""(`first`, `refresh` or `burst`; spokes) -> run."""


def measure(sizes: tuple[int, ...], burst: int) -> list[Figure]:
    """Both kinds of hub, at each size, and the burst at the largest."""
    with room_for_neighbours():
        found = {kind: _kind(kind, sizes, burst) for kind in KINDS}
    figures = []
    for kind, (runs, memory) in found.items():
        for (what, spokes), run in runs.items():
            figures += _figures(kind, f"{what}, {spokes} spokes", run)
        who = "agent" if kind == "ours" else "nhrpd"
        figures.append(Figure(GROUP, f"{kind}: {who} after all of that, Pss", memory.pss_mb, "MB"))
    return [*figures, *_ratios(found["ours"][0], found["nhrpd"][0])]


def _kind(kind: Kind, sizes: tuple[int, ...], burst: int) -> tuple[Runs, Memory]:
    """The runs of one kind of hub; a fresh hub for each size."""
    runs: Runs = {}
    for spokes in sizes:
        say(f"registrations: {kind}, {spokes} spokes")
        with nodes.running(kind, nodes.HUB) as world, contextlib.closing(Generator(world)) as generator:
            hub = world.nodes["hub"]
            generator.until_served()
            runs["first", spokes] = _run(hub, generator, 0, spokes)
            runs["refresh", spokes] = _run(hub, generator, 0, spokes)
            if spokes == max(sizes):
                say(f"registrations: {kind}, {burst} more at once")
                runs["burst", burst] = _run(hub, generator, spokes, burst, window=burst)
            memory = memory_of(hub.processes()["agent" if kind == "ours" else "nhrpd"])
    return runs, memory


def _run(hub: Node, generator: Generator, first: int, spokes: int, **more: int) -> Run:
    before = _when_quiet(hub)
    outcome = generator.run(first, spokes, **more)
    after = _when_quiet(hub)
    return Run(outcome, {name: spent - before[name] for name, spent in after.items()})


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


def _figures(kind: Kind, what: str, run: Run) -> list[Figure]:
    at_most = 0 if kind == "ours" else None
    lost = Figure(GROUP, f"{kind}: {what}: lost", run.outcome.lost, "requests", at_most)
    rate = len(run.outcome.answers) / run.outcome.seconds if run.outcome.seconds else None
    shares = ", ".join(f"{name} {1000 * spent / run.outcome.requests:.2f}"
                       for name, spent in sorted(run.cpu_s.items()) if spent >= 0.01)  # fmt: skip
    return [lost, Figure(GROUP, f"{kind}: {what}", rate, "1/s"),
            Figure(GROUP, f"{kind}: {what}: CPU", run.a_thousand, "CPU s / 1,000", note=shares)]  # fmt: skip


def _ratios(ours: Runs, theirs: Runs) -> Iterator[Figure]:
    for (what, spokes), run in ours.items():
        other = theirs[what, spokes]
        at_most = REFRESH_AT_MOST if what == "refresh" else NEW_AT_MOST
        yield Figure(GROUP, f"ours / nhrpd: {what}, {spokes} spokes: CPU",
                     run.a_thousand / other.a_thousand, "ratio", at_most)  # fmt: skip
