"""Start, memory and verification of labs of several sizes on each backend, by phase.

Beside Docker's: the same containers by plain `docker run`, and their cables by plain `ip link`.
A hub and N spokes; the hub and two spokes have a host behind them.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmvpn_lab import controller
from dmvpn_lab.container import image
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec import plan as planner
from tests.bench import plain
from tests.bench.figures import Figure, say
from tests.bench.memory import memory_of
from tests.live import labs
from tests.live.backends import HERE

SPOKES = (3, 10, 50)
OVERHEAD_AT_MOST = 1.3
HEAD = """lab: {lab}
clouds:
  dmvpn:
    subnet: 10.0.0.0/16
    key: 1
    unique: false
    routing: {{protocol: eigrp, asn: 1, bandwidth: 10000}}
nodes:
  hub: {{nbma: 172.17.0.1/24, lan: 192.168.0.1/24, clouds: {{dmvpn: {{role: hub}}}}}}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """One lab to measure."""

    backend: str
    spokes: int
    number: int = 0
    """Of several that run at once, from 1."""

    @property
    def lab(self) -> str:
        """A name of its own."""
        return f"bench-{self.backend}-{self.spokes}{f'-{self.number}' if self.number else ''}"

    @property
    def group(self) -> str:
        """Of its figures."""
        return f"{self.backend}, {self.spokes} spokes"


def measure(spokes: Sequence[int], backends: Sequence[str]) -> list[Figure]:
    """Every size on every backend that is here; containers by Docker alone before and after them."""
    chosen = tuple(backends or HERE)
    beside = any(name != "netns" for name in chosen)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        if beside:
            image.ensure(lambda text: say(f"image: {text}"))  # not a part of any lab's start
            _plain(Size("plain", 1), Path(folder))  # not counted: it fetches the image from the disk
        for count in spokes or SPOKES:
            plain_s = [_plain(Size("plain", count), Path(folder))] if beside else []
            found = {name: _one(Size(name, count), Path(folder)) for name in chosen}
            plain_s += [_plain(Size("plain", count), Path(folder))] if beside else []
            figures += [figure for each in found.values() for figure in each]
            figures += overhead(count, found, plain_s) if beside else []
    return figures


def overhead(count: int, found: Mapping[str, Sequence[Figure]], plain_s: Sequence[float]) -> list[Figure]:
    """How long `up` takes on each backend, to what Docker alone takes: the mean of before and after."""
    mean_s = sum(plain_s) / len(plain_s)
    note = ", then ".join(f"{each:.1f}" for each in plain_s)
    figures = [Figure(f"{count} spokes", "by docker run and ip link", mean_s, "s", note=note)]
    for name, each in found.items():
        up_s = next(figure.value for figure in each if figure.name == "up")
        ratio = None if up_s is None else up_s / mean_s
        figures.append(Figure(f"{count} spokes", f"up on {name}, of that", ratio, "times", OVERHEAD_AT_MOST))
    for figure in figures:
        tell(figure)
    return figures


def _plain(size: Size, folder: Path) -> float:
    return plain.measure(planner.read(write(size, folder)))


def _one(size: Size, folder: Path) -> list[Figure]:
    with _up(size, write(size, folder)) as (lab, started):
        figures = [*started, *memory(size, lab), *_verify(size, lab)]
    for figure in figures:
        tell(figure)
    return figures


def write(size: Size, folder: Path) -> Path:
    """The file of a lab, in a folder."""
    path = folder / f"{size.lab}.yml"
    path.write_text(topology(size))
    return path


def tell(figure: Figure) -> None:
    """Of a figure at once: a run that is cut off later has told what it had."""
    value = "-" if figure.value is None else f"{figure.value:.2f}"
    say(f"{figure.group}: {figure.name}: {value} {figure.unit} {figure.note}".rstrip())


def topology(size: Size) -> str:
    """The lab's file."""
    lines = [HEAD.format(lab=size.lab)]
    for n in range(1, size.spokes + 1):
        lan = f"lan: 192.168.{n}.1/24, " if n <= 2 else ""
        nbma = f"172.16.{n}.1/24"
        lines.append(f"  spoke-{n}: {{nbma: {nbma}, {lan}clouds: {{dmvpn: {{role: spoke}}}}}}\n")
    return "".join(lines)


@contextlib.contextmanager
def _up(size: Size, path: Path) -> Iterator[tuple[RunningLab, list[Figure]]]:
    marks: dict[str, float] = {}
    began = time.monotonic()

    def progress(phase: str, detail: str) -> None:
        marks[phase] = time.monotonic() - began
        say(f"{size.group}: {phase}: {detail}")

    try:
        lab = asyncio.run(controller.up(str(path), size.backend, progress)).lab
        up_s = time.monotonic() - began
        figures = [Figure(size.group, f"until {phase}", at, "s") for phase, at in marks.items()]
        yield lab, [*figures, Figure(size.group, "up", up_s, "s")]
    finally:
        labs.down(size.lab)


def _verify(size: Size, lab: RunningLab) -> list[Figure]:
    """Seconds of each check, and of all."""

    async def run() -> tuple[dict[str, float], list[str]]:
        ends: dict[str, float] = {}
        failed = []
        last = began = time.monotonic()
        async for result in controller.verify(lab):
            now = time.monotonic()
            ends[result.name] = ends.get(result.name, 0.0) + now - last
            last = now
            failed += [] if result.passed else [f"{result.name} {result.node}"]
        ends["all"] = time.monotonic() - began
        return ends, failed

    seconds, failed = asyncio.run(run())
    note = f"failed: {', '.join(failed)}" if failed else ""
    figures = [Figure(size.group, f"verify: {name}", value, "s") for name, value in seconds.items()]
    return [*figures[:-1], Figure(size.group, "verify", seconds["all"], "s", note=note)]


def memory(size: Size, lab: RunningLab) -> list[Figure]:
    """Proportional memory a node: its processes, and on containers what holds them."""
    states = asyncio.run(lab.backend.nodes(lab.plan.lab))
    kinds: dict[str, list[float]] = {"router": [], "host": []}
    for state in states:
        kind = lab.plan.node(state.name).kind
        if kind in kinds and state.pid is not None:
            pids = tree(state.pid)
            if size.backend != "netns":
                pids.append(parent(state.pid))
            kinds[kind].append(sum(memory_of(pid).pss_mb for pid in pids))
    return [Figure(size.group, f"memory of a {kind}, Pss", sum(found) / len(found), "MB")
            for kind, found in kinds.items() if found]  # fmt: skip


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in tree(int(child)))]


def parent(pid: int) -> int:
    """The process that started it: a container's shim."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
