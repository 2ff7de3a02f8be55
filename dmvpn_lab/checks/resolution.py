"""A spoke does not know another, sends a packet, knows it, and sends there directly.

In phase 2 the route's next hop is the other spoke from the start; in phase 3 it is the hub, until
a shortcut is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from dmvpn_lab.checks.base import CheckResult, Observe, awaited
from dmvpn_lab.checks.encryption import shared
from dmvpn_lab.checks.pair import Pair
from dmvpn_lab.routing import protocol
from dmvpn_lab.running import RunningLab, Watch

DEADLINE_S = 20.0
"""A question and its retransmissions after 1, 3 and 7 s."""


class Resolution:
    """Absent, trigger, present, and a path of one hop between two spokes."""

    name = "resolution"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """For each direction between the first two spokes with a host: absent, present, direct."""
        for pair in Pair.all_of(lab, watch):
            for each in (pair, replace(pair, source=pair.target, target=pair.source)):
                async for result in _Resolved(each).results():
                    yield result


@dataclass(frozen=True, slots=True)
class _Resolved:
    """One spoke that comes to know another."""

    pair: Pair

    async def results(self) -> AsyncIterator[CheckResult]:
        """Absent, trigger, present, direct."""
        pair, peer = self.pair, self.pair.target[0].name
        await pair.lab.query(pair.spoke, "clear")
        first = await self._leads(pair.peer if pair.cloud.phase == 2 else pair.hubs[0])
        yield first
        if not first.passed:
            return
        yield await self._at_spoke(f"{pair.peer} not in the cache before", self._absent, 0.0)
        expected = f"{pair.peer} -> {peer}'s NBMA address after a packet"
        yield await self._at_spoke(expected, self._present, DEADLINE_S)
        if pair.cloud.ipsec is not None:
            expected = f"one SA pair with {peer}, the same at both ends"
            yield await self._at_spoke(expected, self._secured, DEADLINE_S)
        if pair.cloud.phase == 3:
            yield await self._leads(pair.peer, after=True)
        expected = f"{pair.far_host} by {' > '.join(pair.hops)}"
        yield await awaited(Resolution.name, pair.host, expected, pair.straight, pair.watch, DEADLINE_S)

    async def _at_spoke(self, expected: str, observe: Observe, deadline_s: float) -> CheckResult:
        return await awaited(Resolution.name, self.pair.spoke, expected, observe, self.pair.watch, deadline_s)

    async def _leads(self, to: str, *, after: bool = False) -> CheckResult:
        """Before, the route may still have to come."""
        pair = self.pair

        async def observe() -> tuple[bool, str]:
            gateway = await pair.gateway()
            return gateway == to, f"{pair.far} via {gateway}"

        deadline_s = DEADLINE_S if after else protocol(pair.cloud.routing.protocol).deadline_s(pair.cloud)
        expected = f"{pair.far} via {to} {'after' if after else 'before'}"
        return await self._at_spoke(expected, observe, deadline_s)

    async def _absent(self) -> tuple[bool, str]:
        entry = await self._entry()
        return entry is None, "not in the cache" if entry is None else f"{self.pair.peer} -> {entry}"

    async def _present(self) -> tuple[bool, str]:
        await self.pair.send()
        entry = await self._entry()
        return entry == await self.pair.peer_nbma(), f"{self.pair.peer} -> {entry or 'nothing'}"

    async def _secured(self) -> tuple[bool, str]:
        await self.pair.send()
        common = await shared(self.pair.lab, self.pair.spoke, self.pair.target[0].name)
        return len(common) == 1, f"{len(common)} SA pair"

    async def _entry(self) -> str | None:
        """The NBMA address that the spoke has for the other's tunnel address."""
        for entry in await self.pair.lab.query(self.pair.spoke, "nhrp"):
            if (entry["interface"], entry["protocol"]) == (self.pair.source[1].name, self.pair.peer):
                return str(entry["nbma"])
        return None
