"""How long a tunnel stands still over a fault: by pings that never stop, and by events.

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

from dmvpn_lab.backends.base import Progress
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.checks.encryption import shared
from dmvpn_lab.checks.registration import registered
from dmvpn_lab.errors import LabError
from dmvpn_lab.faults.moment import Moment, protected
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
    """From the fault to the event that says that it is over; 0 when nothing says so."""
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
        """Numbers that never came, between the first and the last that did: what went out before the tunnel
        was there is no loss."""
        numbers = {number for _, number in self.replies}
        return max(numbers) - min(numbers) + 1 - len(numbers) if numbers else 0


def affected(lab: RunningLab, node: str, *, protected: bool = True) -> list[Pair]:
    """The pairs of spoke and hub that a router is one of; with `protected` those that share an SA."""
    pairs = []
    for cloud in lab.plan.clouds:
        if cloud.ipsec is not None or not protected:
            pairs += [(spoke, hub) for hub in lab.plan.ours(cloud.name, "hub")
                      for spoke in lab.plan.ours(cloud.name, "spoke")
                      if node in (spoke[0].name, hub[0].name)]  # fmt: skip
    return pairs


async def measure(
    lab: RunningLab, watch: Watch, fault: Moment, node: str, way: str, progress: Progress
) -> list[Outage]:
    """Do a fault under traffic and follow each pair to the end.

    Raises UsageError for a node to which it cannot be done, and LabError.
    """
    lab.router(node)
    if fault.needs_ipsec:
        protected(lab, node)
    pairs = affected(lab, node, protected=fault.needs_ipsec)
    if not pairs:
        raise LabError(f"{node} shares no {'SA' if fault.needs_ipsec else 'cloud'} with anybody")
    async with contextlib.AsyncExitStack() as stack:
        traffics = [await stack.enter_async_context(_traffic(lab, pair)) for pair in pairs]
        began = time.time()
        progress("injected", await fault.inject(lab, node, way))
        if fault.recovered_by is not None:
            longest_s = max(_deadline_s(lab, fault, pair) for pair in pairs)
            progress("waiting", f"for {fault.recovered_by}, {longest_s:.0f} s at the most")
        return [await _follow(watch, fault, node, pair, traffic, began)
                for pair, traffic in zip(pairs, traffics, strict=True)]  # fmt: skip


async def sound(lab: RunningLab, watch: Watch, node: str) -> list[CheckResult]:
    """Whether each pair of a router has SAs that both ends know, and each spoke is registered."""
    results = []
    for spoke, hub in affected(lab, node):
        found = await shared(lab, spoke[0].name, hub[0].name)
        expected = f"SAs with {hub[0].name}, the same at both ends"
        results.append(
            CheckResult("encryption", spoke[0].name, bool(found), expected, f"{len(found)} SA pair", 0.0)
        )
    return results + await all_registered(lab, watch, node)


async def all_registered(lab: RunningLab, watch: Watch, node: str) -> list[CheckResult]:
    """Wait until each pair of a router, or of those behind a NAT router, is registered."""
    routers = [node, *(each.name for each in lab.plan.routers() if lab.plan.behind(each.name) == node)]
    pairs = [pair for router in routers for pair in affected(lab, router, protected=False)]
    return [await registered(lab, watch, hub, spoke, protocol)
            for spoke, hub in pairs for protocol in spoke[1].registered()]  # fmt: skip


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


def _deadline_s(lab: RunningLab, fault: Moment, pair: Pair) -> float:
    """A hub that has forgotten its spokes hears of them when they renew."""
    cloud = lab.plan.cloud(pair[0][1].cloud)
    renewal_s = cloud.registration_interval_s or cloud.holding_time_s / 3
    return DEADLINE_S + (renewal_s if fault.recovered_by == "peer-registered" else 0.0)


async def _follow(
    watch: Watch, fault: Moment, node: str, pair: Pair, traffic: Traffic, began: float
) -> Outage:
    (spoke, at_spoke), (hub, _) = pair
    who = {"spoke": spoke.name, "hub": hub.name, "node": node}[fault.recovered_at]
    deadline_s = _deadline_s(watch.lab, fault, pair)

    def recovered(event: Event) -> bool:
        here = event["event"] == fault.recovered_by and event["node"] == who
        ours = event.get("protocol", str(at_spoke.address.ip)) == str(at_spoke.address.ip)
        return bool(here and ours and event["at"] >= began)

    at = began
    if fault.recovered_by is not None:
        event = await watch.event(recovered, deadline_s)
        if event is None:
            raise LabError(f"{who}: no {fault.recovered_by} within {deadline_s:.0f} s of {fault.name}",
                           hint=f"dmvpn-lab logs {who}")  # fmt: skip
        at = float(event["at"])
    try:
        async with asyncio.timeout(deadline_s):
            await traffic.calm(at)
    except TimeoutError:
        raise LabError(f"{spoke.name}: no steady replies from {hub.name} after {fault.name}") from None
    return Outage(spoke.name, hub.name, round(at - began, 3), round(traffic.gap_s(began), 3), traffic.lost())
