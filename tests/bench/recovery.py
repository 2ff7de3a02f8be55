"""How long traffic of the protected deck's lab stands still over each thing that may happen to its SAs.

The faults are those of `inject`; each is done several times, and the median of the spoke's longest time
without a reply counts. The times of the cut are counted from the command that plugs the cable in again.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from pathlib import Path

from dmvpn_lab.node.supervisor import STABLE_S
from tests.bench.figures import Figure, say
from tests.live import labs
from tests.live.labs import Lab

GROUP = "recovery under IPsec"
NAME = "bench-recovery"
CUT_S = 5.0
CUT_AT_MOST_S = 0.5
FAULTS = (
    ("sa-delete", "terminate", "spoke-a", 0.16),
    ("sa-delete", "terminate", "hub", 0.16),
    ("sa-delete", "state", "spoke-a", 0.2),
    ("sa-delete", "flush", "hub", 2.2),
    ("ike-restart", "kill", "spoke-a", 0.14),
    ("ike-restart", "kill", "hub", 0.14),
    ("ike-restart", "kill-flush", "hub", 1.9),
    ("ike-restart", "stop", "hub", 1.05),
    ("rekey", "both", "hub", None),
)
"""(fault, way, router, goal in seconds without replies, if it has one)."""
REPLY = re.compile(r"^\[(?P<at>[0-9.]+)\] .*icmp_seq=", re.MULTILINE)


def measure(folder: Path, runs: int) -> list[Figure]:
    """The median of each fault, of a new address, and of a cut of the hub's line."""
    with labs.running(labs.topology(folder, "ipsec", NAME)) as lab:
        failed = [f"{r.name} {r.node}: {r.observed}" for r in lab.verify() if not r.passed]
        assert not failed, failed
        faults = [_fault(lab, fault, way, node, goal, runs) for fault, way, node, goal in FAULTS]
        return [*faults, *_moved(lab, runs), _cuts(lab, runs)]


def cut(lab: Lab) -> float:
    """Cut the hub's line for 5 s under traffic. Returns the seconds from the link to the first reply."""
    return asyncio.run(_cut(lab))


async def _cut(lab: Lab) -> float:
    argv = ["ping", "-n", "-D", "-i", "0.02", "-w", str(int(CUT_S) + 8), "192.168.0.2"]
    async with asyncio.TaskGroup() as group:
        traffic = group.create_task(lab.running.exec("host-1", *argv))
        await asyncio.sleep(1.0)
        await lab.running.must("isp", "ip", "link", "set", "eth1", "down")
        down = time.time()
        await asyncio.sleep(CUT_S)
        up = time.time()
        await lab.running.must("isp", "ip", "link", "set", "eth1", "up")
    replies = [float(found["at"]) for found in REPLY.finditer(traffic.result().stdout)]
    during = [at for at in replies if down + 0.5 < at < up]
    assert min(replies) < down, "no traffic before the cut"
    assert not during, f"{len(during)} replies while the line was cut"
    return min(at for at in replies if at > up) - up


def _fault(lab: Lab, fault: str, way: str, node: str, at_most: float | None, runs: int) -> Figure:
    times, lost = [], []
    for run in range(runs):
        say(f"recovery: {fault} {way} on {node}, run {run + 1} of {runs}")
        if fault == "ike-restart":
            time.sleep(STABLE_S)  # what ends again sooner is started again later
        done = lab.json("inject", fault, node, "--how", way)
        assert done["passed"], done
        times.append(max(each["outage_s"] for each in done["outages"]))
        lost.append(max(each["lost"] for each in done["outages"]))
    note = f"{min(times):.2f} to {max(times):.2f} s; {max(lost)} pings lost at the most"
    return Figure(GROUP, f"{fault} {way} on {node}", statistics.median(times), "s", at_most, note)


def _moved(lab: Lab, runs: int) -> list[Figure]:
    """From the spoke's word of its new address to the hub's SA."""
    times = []
    for run in range(runs):
        say(f"recovery: a new address, run {run + 1} of {runs}")
        _, results = lab.change("spoke-a")
        assert [r for r in results if not r.passed] == []
        new = lab.query("spoke-a", "status")["tunnels"][0]["nbma"]
        events = lab.json_lines("events")
        noticed = max(e["at"] for e in events if e["event"] == "nbma-changed" and e.get("new") == new)
        ups = [e["at"] for e in events
               if e["event"] == "ipsec-up" and e["node"] == "hub" and e["nbma"] == new]  # fmt: skip
        times.append(min(at for at in ups if at >= noticed) - noticed)
        lab.undo()
    return [Figure(GROUP, "a new address, to the hub's new SA", statistics.median(times), "s", 0.21)]


def _cuts(lab: Lab, runs: int) -> Figure:
    times = []
    for run in range(runs):
        say(f"recovery: a cut of {CUT_S:.0f} s, run {run + 1} of {runs}")
        times.append(cut(lab))
    note = f"{min(times):.2f} to {max(times):.2f} s"
    name = f"a cut of {CUT_S:.0f} s of the hub's line, after the link"
    return Figure(GROUP, name, statistics.median(times), "s", CUT_AT_MOST_S, note)
