"""Time of `up` by phase, of the deck's lab, and of the checks after it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from dmvpn_lab import controller
from tests.bench.figures import Figure, say
from tests.bench.memory import first_process
from tests.live.labs import Lab

GROUP = "up"
VERIFIED_AT_MOST_S = 45.0


def measure(path: Path) -> tuple[Lab, list[Figure]]:
    """Bring the lab of a topology up; it runs on, and the caller takes it down."""
    began = time.monotonic()
    marks: dict[str, float] = {}

    def progress(phase: str, detail: str) -> None:
        marks[phase] = time.monotonic() - began
        say(f"up: {phase}: {detail}")

    lab = Lab(asyncio.run(controller.up(str(path), "netns", progress)).lab)
    up_s = time.monotonic() - began
    results = lab.verify()
    verified_s = time.monotonic() - began
    failed = [f"{each.name} {each.node}" for each in results if not each.passed]
    figures = [Figure(GROUP, f"whole lab: until {phase}", at, "s") for phase, at in marks.items()]
    figures.append(Figure(GROUP, "whole lab: up", up_s, "s"))
    figures.append(Figure(GROUP, "whole lab: up and verified", None if failed else verified_s, "s",
                          VERIFIED_AT_MOST_S, f"failed: {', '.join(failed)}" if failed else ""))  # fmt: skip
    return lab, figures + _slowest(lab)


def _slowest(lab: Lab) -> list[Figure]:
    """Phases of the nodes, and when each service was ready: of the slowest node each."""
    slowest: dict[str, tuple[float, str]] = {}
    for node in lab.running.plan.nodes:
        ready = Path(f"/proc/{first_process(lab, node.name)}/root/run/dmvpn-lab/ready")
        told = json.loads(ready.read_text())
        for kind, seconds in (("phase", told["phases"]), ("ready after", told["services"])):
            for name, value in seconds.items():
                key = f"slowest node: {kind} {name}"
                slowest[key] = max(slowest.get(key, (-1.0, "")), (value, node.name))
    return [Figure(GROUP, key, value, "s", note=node) for key, (value, node) in slowest.items()]
