"""Phase 3: a packet makes a shortcut, and when that dies the hub is the way again, with nothing lost."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from dmvpn_lab.checks.base import CheckResult, awaited
from dmvpn_lab.checks.reachability import Member, has_lan, host_behind, of_family, path, way
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import CloudPlan

DEADLINE_S = 30.0
"""A hub tells of a shorter way six times a minute at the most; then a question and its answer."""
GONE_S = 2.0
PINGS = 5


class Shortcut:
    """The way by a shortcut, the way when it has ended, and packets across its end."""

    name = "shortcut"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """For the first two spokes with a host of each cloud of phase 3, one direction."""
        for cloud in lab.plan.clouds:
            for version in cloud.versions():
                spokes = [m for m in lab.plan.ours(cloud.name, "spoke") if has_lan(lab.plan, m, version)][:2]
                if cloud.phase == 3 and len(spokes) == 2 and lab.plan.members(cloud.name, "hub"):
                    async for result in _one(lab, watch, cloud, spokes[0], spokes[1], version):
                        yield result


async def _one(
    lab: RunningLab, watch: Watch, cloud: CloudPlan, source: Member, target: Member, version: int
) -> AsyncIterator[CheckResult]:
    host = host_behind(lab.plan, source[0])
    assert host is not None
    spoke, peer = source[0].name, str(of_family(target[1].addresses(), version))
    far = str(path(lab.plan, cloud, source, target, version)[-1])
    hubs = {str(of_family(t.addresses(), version)) for _, t in lab.plan.members(cloud.name, "hub")}

    async def gateway() -> str:
        return str((await way(lab, source[0], far)).get("gateway"))

    async def made() -> tuple[bool, str]:
        await lab.exec(host.name, "ping", "-n", "-c", "1", "-W", "1", far)
        found = await gateway()
        return found == peer, f"{far} via {found}"

    async def ended() -> tuple[bool, str]:
        found = await gateway()
        return found in hubs, f"{far} via {found}"

    name = Shortcut.name
    result = await awaited(name, spoke, f"{far} via {peer} after a packet", made, watch, DEADLINE_S)
    yield result
    if not result.passed:
        return
    await lab.query(spoke, "clear")
    yield await awaited(name, spoke, f"{far} via a hub when the shortcut has ended", ended, watch, GONE_S)
    done = await lab.exec(host.name, "ping", "-n", "-c", str(PINGS), "-i", "0.2", "-W", "2", far)
    observed = next((line for line in done.stdout.splitlines() if "received" in line), "no answer")
    received = re.search(r"(\d+) received", observed)
    answered = received is not None and int(received[1]) == PINGS
    yield CheckResult(name, host.name, answered, f"{PINGS} pings answered after it", observed, 0.0)
