"""Phases 2 and 3: a packet makes a direct way, and when that dies the hub is the way again, nothing lost.

Which way it is, the kernel is asked: in phase 3 for the route's next hop, which is the hub or the other
spoke; in phase 2 for the NBMA address of that next hop, which is the other spoke from the start.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dmvpn_lab.checks.base import CheckResult, awaited
from dmvpn_lab.checks.outside import outside
from dmvpn_lab.checks.reachability import Member, has_lan, host_behind, of_family, path, trace, way
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import CloudPlan

DEADLINE_S = 30.0
"""A hub tells of a shorter way six times a minute at the most; then a question and its answer."""
GONE_S = 2.0
PINGS = 5


class Shortcut:
    """The way before, after a packet, and when the shortcut has ended; and packets across its end."""

    name = "shortcut"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """For the first two spokes with a host of each cloud of phases 2 and 3, one direction."""
        for cloud in lab.plan.clouds:
            if cloud.phase == 1 or not lab.plan.members(cloud.name, "hub"):
                continue
            for version in cloud.versions():
                spokes = [m for m in lab.plan.ours(cloud.name, "spoke") if has_lan(lab.plan, m, version)][:2]
                if len(spokes) == 2:
                    async for result in _Pair(lab, watch, cloud, spokes[0], spokes[1], version).results():
                        yield result


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two spokes; packets go from behind the one to behind the other."""

    lab: RunningLab
    watch: Watch
    cloud: CloudPlan
    source: Member
    target: Member
    version: int

    async def results(self) -> AsyncIterator[CheckResult]:
        """Absent, trigger, present; ended, and by the hub again."""
        name, spoke, far = Shortcut.name, self.source[0].name, self._far()
        direct, by_hub = f"{far} straight to {self._peer()}", f"{far} by a hub"
        await self.lab.query(spoke, "clear")
        yield await awaited(name, spoke, f"{by_hub} before", self._by_hub, self.watch, GONE_S)
        result = await awaited(name, spoke, f"{direct} after a packet", self._made, self.watch, DEADLINE_S)
        yield result
        if not result.passed:
            return
        expected = f"{far} by {' > '.join(self._hops())} after"
        yield await awaited(name, self._host(), expected, self._straight, self.watch, DEADLINE_S)
        await self.lab.query(spoke, "clear")
        expected = f"{by_hub} when the shortcut has ended"
        yield await awaited(name, spoke, expected, self._by_hub, self.watch, GONE_S)
        yield await self._traced()
        yield await self._pinged()

    def _hops(self) -> list[str]:
        hops = path(self.lab.plan, self.cloud, self.source, self.target, self.version)
        return [str(hop) for hop in hops]

    def _far(self) -> str:
        return self._hops()[-1]

    def _host(self) -> str:
        host = host_behind(self.lab.plan, self.source[0])
        assert host is not None
        return host.name

    def _peer(self) -> str:
        return str(of_family(self.target[1].addresses(), self.version))

    def _hubs(self) -> set[str]:
        members = self.lab.plan.members(self.cloud.name, "hub")
        return {str(of_family(tunnel.addresses(), self.version)) for _, tunnel in members}

    async def _next(self) -> tuple[str, str | None]:
        """The next hop, and the NBMA address that the kernel has for it."""
        gateway = (await way(self.lab, self.source[0], self._far())).get("gateway") or "nobody"
        if self.cloud.phase == 3:
            return gateway, None
        argv = ("ip", "-json", "neighbor", "show", "to", gateway, "dev", self.source[1].name)
        done = await self.lab.exec(self.source[0].name, *argv)
        found = json.loads(done.stdout or "[]") if done.exit_code == 0 else []
        return gateway, next((str(each["lladdr"]) for each in found if "lladdr" in each), None)

    def _said(self, gateway: str, nbma: str | None) -> str:
        known = "" if self.cloud.phase == 3 else f", which is at {nbma or 'no known address'}"
        return f"{self._far()} via {gateway}{known}"

    async def _made(self) -> tuple[bool, str]:
        await self.lab.exec(self._host(), "ping", "-n", "-c", "1", "-W", "1", self._far())
        gateway, nbma = await self._next()
        return gateway == self._peer() and await self._direct(nbma), self._said(gateway, nbma)

    async def _by_hub(self) -> tuple[bool, str]:
        """In phase 2 the first packet has the hub put in."""
        gateway, nbma = await self._next()
        if self.cloud.phase == 3:
            return gateway in self._hubs(), self._said(gateway, nbma)
        return gateway == self._peer() and not await self._direct(nbma), self._said(gateway, nbma)

    async def _direct(self, nbma: str | None) -> bool:
        """Whether that is where the other spoke is; in phase 3 its being the next hop says it all."""
        return self.cloud.phase == 3 or nbma == await outside(
            self.lab, self.target[0].name, self.target[1].name
        )

    async def _straight(self) -> tuple[bool, str]:
        seen = await trace(self.lab, self._host(), self._far())
        return seen == self._hops(), " > ".join(seen)

    async def _traced(self) -> CheckResult:
        """The first packets pass the hub, whatever they bring about."""
        seen = await trace(self.lab, self._host(), self._far())
        passed = seen[1:2] != [] and seen[1] in self._hubs()
        expected = f"{self._far()} by a hub on the way"
        return CheckResult(Shortcut.name, self._host(), passed, expected, " > ".join(seen), 0.0)

    async def _pinged(self) -> CheckResult:
        argv = ("ping", "-n", "-c", str(PINGS), "-i", "0.2", "-W", "2", self._far())
        done = await self.lab.exec(self._host(), *argv)
        observed = next((line for line in done.stdout.splitlines() if "received" in line), "no answer")
        received = re.search(r"(\d+) received", observed)
        answered = received is not None and int(received[1]) == PINGS
        expected = f"{PINGS} pings answered after it"
        return CheckResult(Shortcut.name, self._host(), answered, expected, observed, 0.0)
