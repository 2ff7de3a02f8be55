"""A host reaches the hosts behind other routers, by the path that the topology says."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from ipaddress import ip_address

from dmvpn_lab.address import IpAddress, IpInterface
from dmvpn_lab.checks.base import CheckResult, awaited
from dmvpn_lab.routing import protocol
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, TunnelPlan

ALL_PAIRS_UP_TO = 4
"""Spokes of a cloud up to which every ordered pair is tried; beyond, a ring of them."""
Member = tuple[NodePlan, TunnelPlan]


class Reachability:
    """LAN to LAN: spoke to hub, hub to spoke, and spoke to spoke (phase 1: through the hub)."""

    name = "reachability"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """One result for each ordered pair of hosts."""
        for cloud in lab.plan.clouds:
            if protocol(cloud.routing.protocol).exchanges_routes:
                pairs = [
                    (pair, version)
                    for version in cloud.versions()
                    for pair in pairs_of(lab.plan, cloud, version)
                ]
                async with asyncio.TaskGroup() as group:
                    tasks = [
                        group.create_task(_one(lab, watch, cloud, *pair, version)) for pair, version in pairs
                    ]
                for task in tasks:
                    yield task.result()


def pairs_of(plan: Plan, cloud: CloudPlan, version: int = 4) -> list[tuple[Member, Member]]:
    """Which routers' hosts try to reach which: those whose routers get routes to each other's LAN."""
    hubs = [m for m in plan.members(cloud.name, "hub") if has_lan(plan, m, version)]
    spokes = [m for m in plan.members(cloud.name, "spoke") if has_lan(plan, m, version)]
    if not plan.members(cloud.name, "hub"):
        return []
    pairs = [pair for hub in hubs for spoke in spokes for pair in ((spoke, hub), (hub, spoke))]
    if len(spokes) <= ALL_PAIRS_UP_TO:
        pairs += itertools.permutations(spokes, 2)
    else:
        pairs += zip(spokes, spokes[1:] + spokes[:1], strict=True)
    return [(a, b) for a, b in pairs if _knows(cloud, a, b) and _knows(cloud, b, a)]


def has_lan(plan: Plan, member: Member, version: int) -> bool:
    """Whether there is a host behind a router, and the tunnel carries what the host has."""
    host, tunnel = host_behind(plan, member[0]), {each.version for each in member[1].addresses()}
    return host is not None and version in tunnel & {each.version for each in host.interfaces[0].addresses()}


def of_family(addresses: Iterable[IpInterface], version: int) -> IpAddress:
    """The address of that family."""
    return next(each.ip for each in addresses if each.version == version)


def _knows(cloud: CloudPlan, router: Member, target: Member) -> bool:
    lan = target[0].lan_interface()
    assert lan is not None
    assert lan.address is not None
    return protocol(cloud.routing.protocol).knows(cloud, router[1], target[1], lan.address.network)


def host_behind(plan: Plan, router: NodePlan) -> NodePlan | None:
    """The host in a router's LAN."""
    lan = router.lan_interface()
    for link in plan.links:
        if lan is not None and (link.a.node, link.a.interface) == (router.name, lan.name):
            return plan.node(link.b.node)
    return None


def path(plan: Plan, cloud: CloudPlan, source: Member, target: Member, version: int = 4) -> list[IpAddress]:
    """The hops that traceroute must show: the router's LAN address, tunnel addresses, the host."""
    lan, host = source[0].lan_interface(), host_behind(plan, target[0])
    assert lan is not None
    assert host is not None
    hops = [of_family(lan.addresses(), version)]
    if source[1].role == target[1].role == "spoke" and cloud.phase == 1:
        hops.append(of_family(plan.members(cloud.name, "hub")[0][1].addresses(), version))
    return [
        *hops,
        of_family(target[1].addresses(), version),
        of_family(host.interfaces[0].addresses(), version),
    ]


async def way(lab: RunningLab, router: NodePlan, target: str) -> dict[str, str]:
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


async def _one(
    lab: RunningLab, watch: Watch, cloud: CloudPlan, source: Member, target: Member, version: int
) -> CheckResult:
    host = host_behind(lab.plan, source[0])
    assert host is not None
    hops = [str(hop) for hop in path(lab.plan, cloud, source, target, version)]
    far = host_behind(lab.plan, target[0])
    assert far is not None

    async def observe() -> tuple[bool, str]:
        ping = await lab.exec(host.name, "ping", "-n", "-c", "1", "-W", "1", hops[-1])
        if ping.exit_code != 0:
            return False, f"{hops[-1]} does not answer"
        seen = await trace(lab, host.name, hops[-1])
        return seen == hops, " > ".join(seen)

    expected = f"{far.name} by {' > '.join(hops)}"
    deadline_s = protocol(cloud.routing.protocol).deadline_s(cloud)
    return await awaited(Reachability.name, host.name, expected, observe, watch, deadline_s)


async def trace(lab: RunningLab, node: str, target: str) -> list[str]:
    """The hops to an address as traceroute sees them; `*` for one that does not answer."""
    done = await lab.exec(node, "traceroute", "-n", "-q", "1", "-w", "2", "-m", "8", target)
    return [line.split()[1] for line in done.stdout.splitlines()[1:] if len(line.split()) > 1]
