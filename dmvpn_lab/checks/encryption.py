"""The tunnels are protected: SAs at both ends, packets counted in them, nothing in clear on the lines.

Each spoke of a protected cloud pings its hubs while the ISP router captures all its lines. The capture
proves itself: it must see the ESP packets of the same pings.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator

from dmvpn_lab.answers import IpsecEntry
from dmvpn_lab.checks.base import CheckResult, awaited
from dmvpn_lab.errors import LabError
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import NodePlan, TunnelPlan

DEADLINE_S = 30.0
"""A negotiation, its retransmissions, and one more try."""
PINGS = 3
AT_ONCE = 8
"""Spokes that ping at the same time."""
PATIENCE_S = 5.0
"""A capture may lag behind the packets so long."""
FILTER = "ip proto 47 or ip proto 50 or udp port 4500"
CAPTURE = ("tcpdump", "-i", "any", "-n", "-l", "--immediate-mode", FILTER)
LINE = re.compile(r" IP [0-9.]+ > [0-9.]+: (?P<what>UDP-encap: ESP|ESP|GRE)")
Member = tuple[NodePlan, TunnelPlan]


class Seen:
    """Packets that a capture has shown so far: `GRE` and `ESP`."""

    def __init__(self) -> None:
        self.packets: Counter[str] = Counter()
        self._more = asyncio.Event()

    def add(self, what: str) -> None:
        """One more."""
        self.packets[what] += 1
        self._more.set()

    async def settled(self, packets: int) -> None:
        """Wait until so many ESP packets were shown, or patience is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.packets["ESP"] < packets:
                    self._more.clear()
                    await self._more.wait()


class Encryption:
    """IPsec by effect, from both ends and from the line."""

    name = "encryption"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """One result for the SAs and one for the counters of each spoke and hub; one for the lines."""
        for cloud in lab.plan.clouds:
            if cloud.ipsec is None:
                continue
            pairs = [(spoke, hub) for hub in lab.plan.ours(cloud.name, "hub")
                     for spoke in lab.plan.ours(cloud.name, "spoke")]  # fmt: skip
            if not pairs:
                continue
            for spoke, hub in pairs:
                yield await self._sas(lab, watch, spoke, hub)
            seen, gate = Seen(), asyncio.Semaphore(AT_ONCE)
            async with capture(lab, seen):
                counted = await asyncio.gather(*(self._counters(lab, *pair, gate) for pair in pairs))
                for result in counted:
                    yield result
                await seen.settled(PINGS * len(pairs))
            if lab.plan.isp is not None:
                expected = "no GRE in clear, ESP instead"
                observed = f"{seen.packets['GRE']} GRE, {seen.packets['ESP']} ESP"
                passed = seen.packets["GRE"] == 0 and seen.packets["ESP"] > 0
                yield CheckResult(self.name, lab.plan.isp, passed, expected, observed, 0.0)

    async def _sas(self, lab: RunningLab, watch: Watch, spoke: Member, hub: Member) -> CheckResult:
        async def observe() -> tuple[bool, str]:
            common = await shared(lab, spoke[0].name, hub[0].name)
            if not common:
                return False, "no SA that both have"
            others = await rivals(lab, spoke[0].name, hub[0].name)
            if others:
                return False, behind_one_address(others)
            return True, f"{common[-1]['ike']}, {common[-1]['transform']}, {len(common)} SA pair"

        expected = f"SAs with {hub[0].name}, the same at both ends"
        return await awaited(self.name, spoke[0].name, expected, observe, watch, DEADLINE_S)

    async def _counters(
        self, lab: RunningLab, spoke: Member, hub: Member, gate: asyncio.Semaphore
    ) -> CheckResult:
        """Ping the hub's tunnel address; each end must count the packets, in and out."""
        async with gate:
            before = await _counted(lab, spoke[0].name, hub[0].name)
            address = str(hub[1].address.ip)
            await lab.exec(spoke[0].name, "ping", "-n", "-c", str(PINGS), "-i", "0.2", "-W", "2", address)
            after = await _counted(lab, spoke[0].name, hub[0].name)
        grown = [b - a for a, b in zip(before, after, strict=True)]
        observed = "spoke {} in, {} out; hub {} in, {} out".format(*grown)
        expected = f"{PINGS} pings to {hub[0].name} counted in ESP"
        return CheckResult(self.name, spoke[0].name, min(grown) >= PINGS, expected, observed, 0.0)


async def shared(lab: RunningLab, spoke: str, hub: str) -> list[IpsecEntry]:
    """The spoke's SA pairs that the hub has, too."""
    theirs = {(e["spi_out"], e["spi_in"]) for e in await lab.query(hub, "ipsec")}
    ours: list[IpsecEntry] = await lab.query(spoke, "ipsec")
    return [entry for entry in ours if (entry["spi_in"], entry["spi_out"]) in theirs]


async def rivals(lab: RunningLab, spoke: str, hub: str) -> list[str]:
    """The identities at the address that the hub sees the spoke at, if they are several.

    IPsec selects by address: the newest SA there gets all that the hub sends, the others nothing.
    """
    at_hub: list[IpsecEntry] = await lab.query(hub, "ipsec")
    ours = {(e["spi_out"], e["spi_in"]) for e in await lab.query(spoke, "ipsec")}
    places = {e["nbma"] for e in at_hub if (e["spi_in"], e["spi_out"]) in ours}
    found = sorted({e["identity"] for e in at_hub if e["nbma"] in places})
    return found if len(found) > 1 else []


def behind_one_address(identities: list[str]) -> str:
    """What several identities at one address mean."""
    return f"{' and '.join(identities)} are behind one address: only the newest gets traffic"


async def _counted(lab: RunningLab, spoke: str, hub: str) -> tuple[int, int, int, int]:
    """Packets in and out at the spoke, in and out at the hub, over the SAs that both have."""
    ours = await shared(lab, spoke, hub)
    theirs = await shared(lab, hub, spoke)
    return (
        sum(e["packets_in"] for e in ours), sum(e["packets_out"] for e in ours),
        sum(e["packets_in"] for e in theirs), sum(e["packets_out"] for e in theirs),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def capture(lab: RunningLab, seen: Seen) -> AsyncIterator[None]:
    """Count GRE and ESP packets on the ISP's lines while the block runs. Raises LabError."""
    if lab.plan.isp is None:
        yield
        return
    async with lab.stream(lab.plan.isp, CAPTURE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = b""
        while b"listening on" not in said:
            line = await process.stderr.readline()
            if not line:
                raise LabError(f"{lab.plan.isp}: tcpdump did not start: {said.decode(errors='replace')}")
            said += line
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(_read(process.stdout, seen))
            yield
            reader.cancel()


async def _read(stream: asyncio.StreamReader, seen: Seen) -> None:
    while line := await stream.readline():
        found = LINE.search(line.decode(errors="replace"))
        if found is not None:
            seen.add("GRE" if found["what"] == "GRE" else "ESP")
