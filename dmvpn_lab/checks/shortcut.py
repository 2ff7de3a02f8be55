"""Phases 2 and 3: a packet makes a direct way, and when that dies the hub is the way again, nothing lost.

Which way it is, the kernel is asked: in phase 3 for the route's next hop, which is the hub or the other
spoke; in phase 2 for the NBMA address of that next hop, which is the other spoke from the start.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dmvpn_lab.checks.base import CheckResult, Observe, awaited
from dmvpn_lab.checks.pair import Pair
from dmvpn_lab.running import RunningLab, Watch

DEADLINE_S = 30.0
"""A hub tells of a shorter way six times a minute at the most; then a question and its answer."""
GONE_S = 2.0
PINGS = 5


class Shortcut:
    """The way before, after a packet, and when the shortcut has ended; and packets across its end."""

    name = "shortcut"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """For the first two spokes with a host of each cloud of phases 2 and 3, one direction."""
        for pair in Pair.all_of(lab, watch):
            async for result in _Shortcut(pair).results():
                yield result


@dataclass(frozen=True, slots=True)
class _Shortcut:
    """The direct way between two spokes, which comes and goes."""

    pair: Pair

    async def results(self) -> AsyncIterator[CheckResult]:
        """Absent, trigger, present; ended, and by the hub again."""
        pair, far = self.pair, self.pair.far
        direct, by_hub = f"{far} straight to {pair.peer}", f"{far} by a hub"
        await pair.lab.query(pair.spoke, "clear")
        yield await self._awaited(pair.spoke, f"{by_hub} before", self._by_hub, GONE_S)
        result = await self._awaited(pair.spoke, f"{direct} after a packet", self._made, DEADLINE_S)
        yield result
        if not result.passed:
            return
        expected = f"{far} by {' > '.join(pair.hops)} after"
        yield await self._awaited(pair.host, expected, pair.straight, DEADLINE_S)
        await pair.lab.query(pair.spoke, "clear")
        expected = f"{by_hub} when the shortcut has ended"
        yield await self._awaited(pair.spoke, expected, self._by_hub, GONE_S)
        yield await self._traced()
        yield await self._pinged()

    async def _awaited(self, node: str, expected: str, observe: Observe, deadline_s: float) -> CheckResult:
        return await awaited(Shortcut.name, node, expected, observe, self.pair.watch, deadline_s)

    async def _next(self) -> tuple[str, str | None]:
        """The next hop, and the NBMA address that the kernel has for it."""
        pair, gateway = self.pair, await self.pair.gateway()
        if pair.cloud.phase == 3:
            return gateway, None
        argv = ("ip", "-json", "neighbor", "show", "to", gateway, "dev", pair.source[1].name)
        done = await pair.lab.exec(pair.spoke, *argv)
        found = json.loads(done.stdout or "[]") if done.exit_code == 0 else []
        return gateway, next((str(each["lladdr"]) for each in found if "lladdr" in each), None)

    def _said(self, gateway: str, nbma: str | None) -> str:
        known = "" if self.pair.cloud.phase == 3 else f", which is at {nbma or 'no known address'}"
        return f"{self.pair.far} via {gateway}{known}"

    async def _made(self) -> tuple[bool, str]:
        await self.pair.send()
        gateway, nbma = await self._next()
        return gateway == self.pair.peer and await self._direct(nbma), self._said(gateway, nbma)

    async def _by_hub(self) -> tuple[bool, str]:
        """In phase 2 the first packet has the hub put in."""
        gateway, nbma = await self._next()
        if self.pair.cloud.phase == 3:
            return gateway in self.pair.hubs, self._said(gateway, nbma)
        return gateway == self.pair.peer and not await self._direct(nbma), self._said(gateway, nbma)

    async def _direct(self, nbma: str | None) -> bool:
        """Whether that is where the other spoke is; in phase 3 its being the next hop says it all."""
        return self.pair.cloud.phase == 3 or nbma == await self.pair.peer_nbma()

    async def _traced(self) -> CheckResult:
        """The first packets pass the hub, whatever they bring about."""
        seen = await self.pair.traced()
        passed = seen[1:2] != [] and seen[1] in self.pair.hubs
        expected = f"{self.pair.far} by a hub on the way"
        return CheckResult(Shortcut.name, self.pair.host, passed, expected, " > ".join(seen), 0.0)

    async def _pinged(self) -> CheckResult:
        argv = ("ping", "-n", "-c", str(PINGS), "-i", "0.2", "-W", "2", self.pair.far)
        done = await self.pair.lab.exec(self.pair.host, *argv)
        observed = next((line for line in done.stdout.splitlines() if "received" in line), "no answer")
        received = re.search(r"(\d+) received", observed)
        answered = received is not None and int(received[1]) == PINGS
        expected = f"{PINGS} pings answered after it"
        return CheckResult(Shortcut.name, self.pair.host, answered, expected, observed, 0.0)
