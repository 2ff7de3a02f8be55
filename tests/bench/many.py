"""Many labs on one machine: ten of three routers that are started at the same time, and one with 60 spokes.

Each of the ten is a process of its own that starts and verifies it, as ten people would.
"""

from __future__ import annotations

import multiprocessing
import re
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dmvpn_lab import controller
from tests.bench import backends
from tests.bench.backends import Size
from tests.bench.figures import Figure, say
from tests.live import labs

LABS, SPOKES = 10, 2
LARGE = 60
MEMORY = re.compile(r"MemAvailable: +(\d+) kB")


@dataclass(frozen=True, slots=True)
class Started:
    """What one of the labs tells of itself."""

    up_s: float
    """From the moment at which all were begun."""
    verified_s: float
    failed: tuple[str, ...]


def measure(count: int = LABS, large: int = LARGE) -> list[Figure]:
    """One lab alone, `count` of them at once, and a large one."""
    figures = [figure for number in (1, count) for figure in _at_once(number)]
    return [*figures, *backends.measure([large], ["netns"])]


def _at_once(count: int) -> list[Figure]:
    """So many labs of three routers, from nothing."""
    say(f"{count} labs of {SPOKES + 1} routers at once")
    sizes = [Size("netns", SPOKES, number) for number in range(1, count + 1)]
    free_mb = available_mb()
    try:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            context = multiprocessing.get_context("fork")  # a new interpreter would be most of the time
            with ProcessPoolExecutor(count, context) as pool:
                started = list(pool.map(_start, sizes, [Path(folder)] * count, [began] * count))
        used_mb = free_mb - available_mb()
        memory = [figure for size in sizes for figure in backends.memory(size, controller.find(size.lab))]
    finally:
        for size in sizes:
            labs.down(size.lab)
    figures = figures_of(started, memory, used_mb)
    for figure in figures:
        backends.tell(figure)
    return figures


def _start(size: Size, folder: Path, began: float) -> Started:
    lab = labs.Lab(labs.up(backends.write(size, folder)).lab)
    up_s = time.monotonic() - began
    failed = tuple(f"{size.lab}: {each.name} {each.node}" for each in lab.verify() if not each.passed)
    return Started(up_s, time.monotonic() - began, failed)


def figures_of(started: Sequence[Started], memory: Sequence[Figure], used_mb: float) -> list[Figure]:
    """Of all labs together. A check that failed leaves no time until they are verified."""
    group = f"labs of {SPOKES + 1} routers, {len(started)} at once"
    failed = [each for one in started for each in one.failed]
    verified_s = None if failed else max(one.verified_s for one in started)
    figures = [
        Figure(group, "first up", min(one.up_s for one in started), "s"),
        Figure(group, "all up", max(one.up_s for one in started), "s"),
        Figure(group, "all verified", verified_s, "s", note=", ".join(failed)),
    ]
    for name in dict.fromkeys(each.name for each in memory):
        found = [each.value for each in memory if each.name == name and each.value is not None]
        figures.append(Figure(group, name, sum(found) / len(found), "MB"))
    return [*figures, Figure(group, "memory of the machine, all labs", used_mb, "MB")]


def available_mb() -> float:
    """Memory that programs could still have, as the kernel reckons (proc_meminfo(5))."""
    found = MEMORY.search(Path("/proc/meminfo").read_text())
    assert found is not None
    return int(found[1]) * 1024 / 1e6
