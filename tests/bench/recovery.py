"""How long traffic of the protected deck's lab stands still over each thing that may happen to its SAs.

The faults are those of `inject`; each is done several times, and the median of the spoke's longest time
without a reply counts. The times of the cut are counted from the command that plugs the cable in again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import time
from pathlib import Path

from dmvpn_lab.node.supervisor import STABLE_S
from dmvpn_lab.running import RunningLab
from dmvpn_lab.testing import Labs, LiveLab
from tests.bench.figures import Figure, say
from tests.live import labs

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
    path = labs.topology(folder, "ipsec", NAME)
    with contextlib.closing(Labs(str(path), "netns", capture=())) as session, session.running() as lab:
        lab.verify()
        faults = [_fault(lab, fault, way, node, goal, runs) for fault, way, node, goal in FAULTS]
        return [*faults, *_moved(lab, runs), _cuts(lab, runs)]


async def cut(lab: RunningLab) -> float:
    """Cut the hub's line for 5 s under traffic. Returns the seconds from the link to the first reply."""
    argv = ["ping", "-n", "-D", "-i", "0.02", "-w", str(int(CUT_S) + 8), "192.168.0.2"]
    async with asyncio.TaskGroup() as group:
        traffic = group.create_task(lab.exec("host-1", *argv))
        await asyncio.sleep(1.0)
        await lab.must("isp", "ip", "link", "set", "eth1", "down")
        down = time.time()
        await asyncio.sleep(CUT_S)
        up = time.time()
        await lab.must("isp", "ip", "link", "set", "eth1", "up")
    replies = [float(found["at"]) for found in REPLY.finditer(traffic.result().stdout)]
    during = [at for at in replies if down + 0.5 < at < up]
    assert min(replies) < down, "no traffic before the cut"
    assert not during, f"{len(during)} replies while the line was cut"
    return min(at for at in replies if at > up) - up


def _fault(lab: LiveLab, fault: str, way: str, node: str, at_most: float | None, runs: int) -> Figure:
    times, lost = [], []
    for run in range(runs):
        say(f"recovery: {fault} {way} on {node}, run {run + 1} of {runs}")
        if fault == "ike-restart":
            time.sleep(STABLE_S)  # what ends again sooner is started again later
        outages = lab.outage(fault, node, way)
        times.append(max(each.outage_s for each in outages))
        lost.append(max(each.lost for each in outages))
    note = f"{min(times):.2f} to {max(times):.2f} s; {max(lost)} pings lost at the most"
    return Figure(GROUP, f"{fault} {way} on {node}", statistics.median(times), "s", at_most, note)


def _moved(lab: LiveLab, runs: int) -> list[Figure]:
    """From the spoke's word of its new address to the hub's SA."""
    times = []
    for run in range(runs):
        say(f"recovery: a new address, run {run + 1} of {runs}")
        lab.address_change("spoke-a")
        new = lab.show("spoke-a", "status")["tunnels"][0]["nbma"]
        noticed = max(e["at"] for e in lab.events("nbma-changed", new=new))
        ups = [e["at"] for e in lab.events("ipsec-up", node="hub", nbma=new)]
        times.append(min(at for at in ups if at >= noticed) - noticed)
        lab.undo()
    return [Figure(GROUP, "a new address, to the hub's new SA", statistics.median(times), "s", 0.21)]


def _cuts(lab: LiveLab, runs: int) -> Figure:
    times = []
    for run in range(runs):
        say(f"recovery: a cut of {CUT_S:.0f} s, run {run + 1} of {runs}")
        times.append(lab.run(cut(lab.lab)))
    note = f"{min(times):.2f} to {max(times):.2f} s"
    name = f"a cut of {CUT_S:.0f} s of the hub's line, after the link"
    return Figure(GROUP, name, statistics.median(times), "s", CUT_AT_MOST_S, note)
