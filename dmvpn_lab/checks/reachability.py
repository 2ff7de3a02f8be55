"""A host reaches the hosts behind other routers, by the path that the topology says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from ipaddress import ip_address

from dmvpn_lab.checks.base import CheckResult, awaited
from dmvpn_lab.checks.ways import Way, host_behind, of_family, ways
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import NodePlan


class Reachability:
    """LAN to LAN: spoke to hub, hub to spoke, spoke to spoke (phase 1: through the hub), cloud to cloud."""

    name = "reachability"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """One result for each ordered pair of hosts."""
        for group_of_ways in ways(lab.plan):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_one(lab, watch, way)) for way in group_of_ways]
            for task in tasks:
                yield task.result()


async def forwarded(lab: RunningLab, router: NodePlan, target: str) -> dict[str, str]:
    """How a router forwards a packet of the host behind it: `dev`, `gateway`, as ip-route(8) names them.

    Empty: not at all. Without a host, how it sends a packet of its own."""
    host, lan = host_behind(lab.plan, router), router.lan_interface()
    argv = ["ip", "-json", "route", "get", target]
    if host is not None and lan is not None:
        own = of_family(host.interfaces[0].addresses(), ip_address(target).version)
        argv += ["from", str(own), "iif", lan.name]
    done = await lab.exec(router.name, *argv)
    if done.exit_code != 0:
        return {}
    found: dict[str, str] = json.loads(done.stdout)[0]
    return found


async def _one(lab: RunningLab, watch: Watch, way: Way) -> CheckResult:
    host, far = host_behind(lab.plan, way.source[0]), host_behind(lab.plan, way.target[0])
    assert host is not None
    assert far is not None
    hops = [str(hop) for hop in way.hops]

    async def observe() -> tuple[bool, str]:
        ping = await lab.exec(host.name, "ping", "-n", "-c", "1", "-W", "1", hops[-1])
        if ping.exit_code != 0:
            return False, f"{hops[-1]} does not answer"
        seen = await trace(lab, host.name, hops[-1])
        return seen == hops, " > ".join(seen)

    expected = f"{far.name} by {' > '.join(hops)}"
    return await awaited(Reachability.name, host.name, expected, observe, watch, way.deadline_s)


async def trace(lab: RunningLab, node: str, target: str) -> list[str]:
    """The hops to an address as traceroute sees them; `*` for one that does not answer."""
    done = await lab.exec(node, "traceroute", "-n", "-q", "1", "-w", "2", "-m", "8", target)
    return [line.split()[1] for line in done.stdout.splitlines()[1:] if len(line.split()) > 1]
