"""One spoke of the protected deck's lab from its first IKE packet on, by phase, as it sees them itself.

Times of packets are the kernel's. What the agent adds of its own, between the word that the SA is up
and the registration that it sends, is the difference of two of its events.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.bench.figures import Figure, say
from tests.live import labs
from tests.live.labs import Lab
from tests.live.router_watch import router_watch

GROUP = "protected start"
NAME = "bench-ipsec"
SPOKE = "spoke-a"
AGENT_AT_MOST_S = 0.1


def measure(folder: Path) -> list[Figure]:
    """Seconds from the first IKE packet to each thing that follows from it."""
    say("protected start")
    path = labs.topology(folder, "ipsec", NAME)
    with router_watch(NAME, SPOKE) as watch, labs.running(path) as lab:
        failed = [f"{r.name} {r.node}" for r in lab.verify() if not r.passed]
        note = f"failed: {', '.join(failed)}" if failed else ""
        began = watch.first("ike", sent=True)
        marks = {
            "first packet in ESP": watch.first("esp", sent=True),
            "registered": watch.first("registration reply", sent=False),
            "first hello of the hub": watch.first("hello", sent=False),
            "first routes of the hub": watch.first("update with routes", sent=False),
        }
        figures = [Figure(GROUP, f"IKE to {name}", at - began, "s", note=note) for name, at in marks.items()]
        own_s = _event(lab, "registration-sent") - _event(lab, "ipsec-up")
        return [*figures, Figure(GROUP, "agent: SA up to registration sent", own_s, "s", AGENT_AT_MOST_S)]


def _event(lab: Lab, name: str) -> float:
    """When the spoke's agent first told of it."""
    _, said = labs.cli("events", "--json", "--lab", lab.name)
    events = map(json.loads, said.splitlines())
    return min(float(e["at"]) for e in events if e["event"] == name and e["node"] == SPOKE)
