"""How long a protected tunnel stands still over a fault: by pings that never stop, and by events.

A reply every STEP_S is expected; the longest time without one, less the step, is the outage.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from dmvpn_lab.checks import CheckResult
from dmvpn_lab.checks.encryption import shared
from dmvpn_lab.errors import LabError
from dmvpn_lab.faults.moment import Moment
from dmvpn_lab.running import Event, RunningLab, Watch
from dmvpn_lab.spec.plan_types import NodePlan, TunnelPlan

STEP_S = 0.05
WARM_REPLIES = 5
"""So many replies before the fault, to know that there was something to interrupt."""
CALM_S = 1.0
"""Replies must have come so long without a gap before the fault counts as overcome."""
DEADLINE_S = 60.0
LARGEST_CALM_GAP_S = 0.4
REPLY = re.compile(rb"^\[(?P<at>[0-9.]+)\] .* icmp_seq=(?P<number>\d+) ")
Pair = tuple[tuple[NodePlan, TunnelPlan], tuple[NodePlan, TunnelPlan]]
"""A spoke and a hub, each with its tunnel."""


@dataclass(frozen=True, slots=True)
class Outage:
    """One spoke's traffic with one hub over one fault."""

    spoke: str
    hub: str
    secured_after_s: float
    """From the fault to the event of a new SA, or of new keys, at the spoke."""
    outage_s: float
    """The longest time without a reply, less the step between two."""
    lost: int
    """Pings without a reply."""


@dataclass(slots=True)
class Traffic:
    """Replies of one never-ending ping."""

    replies: list[tuple[float, int]] = field(default_factory=list)
    """(wall clock, sequence number), in the order of arrival."""
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Collect, until the stream ends."""
        while line := await stream.readline():
            found = REPLY.match(line)
            if found is not None:
                self.replies.append((float(found["at"]), int(found["number"])))
                self._more.set()

    async def until(self, replies: int) -> None:
        """Wait for so many replies in all."""
        while len(self.replies) < replies:
            self._more.clear()
            await self._more.wait()

    async def calm(self, after: float) -> None:
        """Wait until replies have come for CALM_S, after that wall clock, without a gap."""
        while True:
            times = [at for at, _ in self.replies if at >= after]
            recent = [at for at in times if at >= times[-1] - CALM_S] if times else []
            gaps = [b - a for a, b in itertools.pairwise(recent)]
            if recent and recent[-1] - times[0] >= CALM_S and max(gaps, default=9.0) < LARGEST_CALM_GAP_S:
                return
            self._more.clear()
            await self._more.wait()

    def gap_s(self, since: float) -> float:
        """The longest time without a reply that ended after that wall clock."""
        times = [at for at, _ in self.replies]
        gaps = [b - a for a, b in itertools.pairwise(times) if b > since]
        return max(0.0, max(gaps, default=0.0) - STEP_S)

    def lost(self) -> int:
        """Numbers that never came, up to the last that did."""
        numbers = {number for _, number in self.replies}
        return max(numbers, default=0) - len(numbers)


def affected(lab: RunningLab, node: str) -> list[Pair]:
    """The pairs of spoke and hub that share an SA with a router."""
    pairs = []
    for cloud in lab.plan.clouds:
        if cloud.ipsec is not None:
            pairs += [(spoke, hub) for hub in lab.plan.ours(cloud.name, "hub")
                      for spoke in lab.plan.ours(cloud.name, "spoke")
                      if node in (spoke[0].name, hub[0].name)]  # fmt: skip
    return pairs


async def measure(lab: RunningLab, watch: Watch, fault: Moment, node: str, way: str) -> list[Outage]:
    """Do a fault under traffic and follow each pair to the end. Raises LabError."""
    pairs = affected(lab, node)
    if not pairs:
        raise LabError(f"{node} shares no SA with anybody")
    async with contextlib.AsyncExitStack() as stack:
        traffics = [await stack.enter_async_context(_traffic(lab, pair)) for pair in pairs]
        began = time.time()
        await fault.inject(lab, node, way)
        return [await _follow(watch, fault, pair, traffic, began)
                for pair, traffic in zip(pairs, traffics, strict=True)]  # fmt: skip


async def sound(lab: RunningLab, node: str) -> list[CheckResult]:
    """Whether each pair of a router has SAs that both ends know."""
    results = []
    for spoke, hub in affected(lab, node):
        found = await shared(lab, spoke[0].name, hub[0].name)
        expected = f"SAs with {hub[0].name}, the same at both ends"
        results.append(
            CheckResult("encryption", spoke[0].name, bool(found), expected, f"{len(found)} SA pair", 0.0)
        )
    return results


@contextlib.asynccontextmanager
async def _traffic(lab: RunningLab, pair: Pair) -> AsyncIterator[Traffic]:
    """Pings from a spoke to its hub's tunnel address, for the length of a block."""
    (spoke, _), (_, at_hub) = pair
    argv = ["ping", "-D", "-n", "-i", str(STEP_S), str(at_hub.address.ip)]
    traffic = Traffic()
    async with lab.stream(spoke.name, argv) as process:
        assert process.stdout is not None
        reader = asyncio.ensure_future(traffic.read(process.stdout))
        try:
            async with asyncio.timeout(DEADLINE_S):
                await traffic.until(WARM_REPLIES)
            yield traffic
        except TimeoutError:
            raise LabError(f"{spoke.name} does not reach {at_hub.address.ip} before any fault") from None
        finally:
            reader.cancel()


async def _follow(watch: Watch, fault: Moment, pair: Pair, traffic: Traffic, began: float) -> Outage:
    (spoke, _), (hub, _) = pair

    def recovered(event: Event) -> bool:
        here = event["event"] == fault.recovered_by and event["node"] == spoke.name
        return bool(here and event["at"] >= began)

    event = await watch.event(recovered, DEADLINE_S)
    if event is None:
        raise LabError(f"{spoke.name}: no {fault.recovered_by} within {DEADLINE_S:.0f} s of {fault.name}",
                       hint=f"dmvpn-lab exec {spoke.name} -- tail /run/dmvpn-lab/log/charon.log")  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_S):
            await traffic.calm(float(event["at"]))
    except TimeoutError:
        raise LabError(f"{spoke.name}: no steady replies from {hub.name} after {fault.name}") from None
    secured_after_s = round(float(event["at"]) - began, 3)
    return Outage(spoke.name, hub.name, secured_after_s, round(traffic.gap_s(began), 3), traffic.lost())
