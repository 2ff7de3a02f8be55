"""The measurements that need a kernel with GRE: `python3 -m tests.bench.live`, here or in the machine.

Progress goes to standard error, the figures to standard output as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.bench import (
    adjacency,
    backends,
    many,
    memory,
    protected_start,
    protection,
    readdress,
    recovery,
    registrations,
    start,
)
from tests.bench.figures import Figure
from tests.live import labs

PARTS = ("registrations", "address-change", "adjacency", "deck", "protection", "recovery", "backends", "labs")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench.live")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--spokes", action="append", type=int)
    parser.add_argument("--backend", action="append")
    chosen = parser.parse_args()
    figures: list[Figure] = []
    for part in chosen.part or PARTS:
        if part == "backends":
            spokes = chosen.spokes or ([3] if chosen.quick else [])
            figures += backends.measure(spokes, chosen.backend or ())
        else:
            figures += measure(part, quick=chosen.quick)
    host = {"kernel": platform.release(), "processors": os.cpu_count(), "python": platform.python_version()}
    json.dump({"host": host, "figures": [asdict(figure) for figure in figures]}, sys.stdout)
    return 0


def measure(part: str, *, quick: bool) -> list[Figure]:
    """One part."""
    if part == "registrations":
        return registrations.measure((200,) if quick else (500, 2000, 5000), 500 if quick else 2000)
    if part == "address-change":
        return readdress.measure(2 if quick else 5)
    if part == "adjacency":
        with tempfile.TemporaryDirectory() as folder:
            return adjacency.measure(Path(folder), 1 if quick else 3)
    if part == "recovery":
        with tempfile.TemporaryDirectory() as folder:
            return recovery.measure(Path(folder), 1 if quick else 3)
    if part == "labs":
        return many.measure(3, 10) if quick else many.measure()
    if part == "protection":
        return _protection(2 if quick else 7)
    return _deck()


def _protection(slices: int) -> list[Figure]:
    """What IPsec costs, and how long it takes to begin."""
    with tempfile.TemporaryDirectory() as folder:
        return protection.measure(Path(folder), slices) + protected_start.measure(Path(folder))


def _deck() -> list[Figure]:
    """What the deck's lab tells."""
    name = "bench-deck"
    with tempfile.TemporaryDirectory() as folder:
        try:
            lab, figures = start.measure(labs.topology(Path(folder), "hub-and-spoke", name))
            return figures + memory.measure(lab)
        finally:
            labs.down(name)


if __name__ == "__main__":
    sys.exit(main())
