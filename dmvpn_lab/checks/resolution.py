"""A spoke does not know another, sends a packet, knows it, and sends there directly.

In phase 2 the route's next hop is the other spoke from the start; in phase 3 it is the hub, until
a shortcut is there.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

from dmvpn_lab.checks.base import CheckResult, Observe, awaited
from dmvpn_lab.checks.encryption import shared
from dmvpn_lab.checks.outside import outside
from dmvpn_lab.checks.reachability import Member, has_lan, host_behind, of_family, path, trace, way
from dmvpn_lab.routing import protocol
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import CloudPlan

DEADLINE_S = 20.0
"""A question and its retransmissions after 1, 3 and 7 s."""


class Resolution:
    """Absent, trigger, present, and a path of one hop between two spokes."""

    name = "resolution"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """For each direction between the first two spokes with a host: absent, present, direct."""
        for cloud in lab.plan.clouds:
            if cloud.phase == 1 or not lab.plan.members(cloud.name, "hub"):
                continue
            for version in cloud.versions():
                spokes = [m for m in lab.plan.ours(cloud.name, "spoke") if has_lan(lab.plan, m, version)][:2]
                for source, target in itertools.permutations(spokes, 2):
                    async for result in _pair(lab, watch, cloud, source, target, version):
                        yield result


async def _pair(
    lab: RunningLab, watch: Watch, cloud: CloudPlan, source: Member, target: Member, version: int
) -> AsyncIterator[CheckResult]:
    deadline_s = protocol(cloud.routing.protocol).deadline_s(cloud)
    host, far = host_behind(lab.plan, source[0]), host_behind(lab.plan, target[0])
    assert host is not None
    assert far is not None
    hops = [str(hop) for hop in path(lab.plan, cloud, source, target, version)]
    spoke, wanted = source[0].name, str(of_family(target[1].addresses(), version))

    hub = str(of_family(lab.plan.members(cloud.name, "hub")[0][1].addresses(), version))

    def leads(to: str) -> Observe:
        async def observe() -> tuple[bool, str]:
            gateway = (await way(lab, source[0], hops[-1])).get("gateway")
            return gateway == to, f"{hops[-1]} via {gateway or 'nobody'}"

        return observe

    async def absent() -> tuple[bool, str]:
        entry = await _entry(lab, source, wanted)
        return entry is None, "not in the cache" if entry is None else f"{wanted} -> {entry}"

    async def present() -> tuple[bool, str]:
        await lab.exec(host.name, "ping", "-n", "-c", "1", "-W", "1", hops[-1])
        entry = await _entry(lab, source, wanted)
        return entry == await outside(
            lab, target[0].name, target[1].name
        ), f"{wanted} -> {entry or 'nothing'}"

    async def secured() -> tuple[bool, str]:
        await lab.exec(host.name, "ping", "-n", "-c", "1", "-W", "1", hops[-1])
        common = await shared(lab, spoke, target[0].name)
        return len(common) == 1, f"{len(common)} SA pair"

    async def direct() -> tuple[bool, str]:
        seen = await trace(lab, host.name, hops[-1])
        return seen == hops, " > ".join(seen)

    name = Resolution.name
    await lab.query(spoke, "clear")
    first = wanted if cloud.phase == 2 else hub
    result = await awaited(name, spoke, f"{hops[-1]} via {first} before", leads(first), watch, deadline_s)
    yield result
    if not result.passed:
        return
    yield await awaited(name, spoke, f"{wanted} not in the cache before", absent, watch, 0.0)
    expected = f"{wanted} -> {target[0].name}'s NBMA address after a packet"
    yield await awaited(name, spoke, expected, present, watch, DEADLINE_S)
    if cloud.ipsec is not None:
        expected = f"one SA pair with {target[0].name}, the same at both ends"
        yield await awaited(name, spoke, expected, secured, watch, DEADLINE_S)
    if cloud.phase == 3:
        yield await awaited(name, spoke, f"{hops[-1]} via {wanted} after", leads(wanted), watch, DEADLINE_S)
    yield await awaited(name, host.name, f"{far.name} by {' > '.join(hops)}", direct, watch, DEADLINE_S)


async def _entry(lab: RunningLab, source: Member, wanted: str) -> str | None:
    """The NBMA address that a spoke has resolved for a tunnel address."""
    for entry in await lab.query(source[0].name, "nhrp"):
        if (entry["interface"], entry["protocol"]) == (source[1].name, wanted):
            return str(entry["nbma"])
    return None
