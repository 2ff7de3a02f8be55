"""How long a lab takes to get over an address change, step by step.

    change -> registered -> multicast -> adjacent -> reachable

Time zero is the moment when the spoke's kernel reported the new address to its agent. The first
three are event times of the agents; the last two are seen from outside, by asking the routing
daemon and by pinging.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from dmvpn_lab.checks.adjacency import adjacent
from dmvpn_lab.checks.base import CheckResult
from dmvpn_lab.checks.outside import outside
from dmvpn_lab.checks.ways import host_behind
from dmvpn_lab.errors import LabError
from dmvpn_lab.faults.base import Line
from dmvpn_lab.routing import protocol
from dmvpn_lab.running import Event, RunningLab, Watch
from dmvpn_lab.spec.plan_types import NodePlan, TunnelPlan

LEASE_DEADLINE_S = 45.0
"""A DHCP client's tries after 0, 4, 8 and 16 s."""
REGISTER_DEADLINE_S = 20.0
STEP_S = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one tunnel's recovery."""

    node: str
    tunnel: str
    step: str
    """`registered`, `multicast`, `adjacent` or `reachable`."""
    after_s: float
    """Seconds since the kernel reported the new address."""


async def recovery(lab: RunningLab, watch: Watch, line: Line) -> AsyncIterator[Step]:
    """Follow every tunnel of a router whose line changed, to the end. Raises LabError."""
    router = lab.plan.node(line.router)
    for tunnel in router.tunnels:
        zero = await _noticed(watch, router.name, tunnel.name, str(line.customer.ip))
        seen = await _seen(lab, line, tunnel)
        hubs = lab.plan.ours(tunnel.cloud, "hub")
        for hub, at_hub in hubs:
            async for name, at in _steps(lab, watch, (hub, at_hub), (router, tunnel), seen):
                yield Step(router.name, tunnel.name, name, round(max(0.0, at - zero), 3))


async def moved(lab: RunningLab, line: Line) -> list[CheckResult]:
    """Whether cache, multicast set and neighbour of each hub are at the new address, and there only."""
    results = []
    router = lab.plan.node(line.router)
    for tunnel in router.tunnels:
        new = await _seen(lab, line, tunnel)
        protocol_address = str(tunnel.address.ip)
        for hub, at_hub in lab.plan.ours(tunnel.cloud, "hub"):
            entries = [
                e["nbma"] for e in await lab.query(hub.name, "nhrp") if e["protocol"] == protocol_address
            ]
            results.append(_result("cache", hub.name, [new], entries))
            if at_hub.map_multicast_dynamic:
                bindings = {e["nbma"] for e in await lab.query(hub.name, "nhrp") if e["type"] == "dynamic"}
                peers = {
                    m["nbma"] for m in await lab.query(hub.name, "multicast") if m["origin"] == "dynamic"
                }
                results.append(_result("multicast", hub.name, sorted(bindings), sorted(peers)))
            shown = await lab.must(hub.name, "ip", "neigh", "show", protocol_address, "dev", at_hub.name)
            words = shown.split()
            there = [words[words.index("lladdr") + 1]] if "lladdr" in words else []
            results.append(_result("neighbour", hub.name, [new], there))
    return results


async def _seen(lab: RunningLab, line: Line, tunnel: TunnelPlan) -> str:
    """The address at which the hubs see a router: its own, or that of its NAT router."""
    address = str(line.customer.ip)
    if lab.plan.behind(line.router) is None:
        return address
    return await outside(lab, line.router, tunnel.name) or address


def _result(name: str, node: str, expected: list[str], observed: list[str]) -> CheckResult:
    words = ", ".join(observed) or "none"
    return CheckResult(name, node, expected == observed, ", ".join(expected), words, 0.0)


async def _noticed(watch: Watch, node: str, tunnel: str, nbma: str) -> float:
    """When the agent heard of the new address."""

    def matches(event: Event) -> bool:
        changed = event["event"] in ("nbma-changed", "tunnel-up") and event["node"] == node
        address = event.get("new") or event.get("nbma")
        return changed and event.get("interface") == tunnel and address == nbma

    event = await watch.event(matches, LEASE_DEADLINE_S)
    if event is None:
        raise LabError(
            f"{node} got no lease of {nbma} within {LEASE_DEADLINE_S:.0f} s",
            hint=f"dmvpn-lab exec {node} -- cat /run/dmvpn-lab/log/dhcpcd.log",
        )
    return float(event["at"])


async def _steps(
    lab: RunningLab,
    watch: Watch,
    at_hub: tuple[NodePlan, TunnelPlan],
    at_spoke: tuple[NodePlan, TunnelPlan],
    nbma: str,
) -> AsyncIterator[tuple[str, float]]:
    (hub, hub_tunnel), (spoke, tunnel) = at_hub, at_spoke
    registered = await _registered(watch, hub.name, spoke.name, tunnel, nbma)
    yield "registered", registered
    if hub_tunnel.map_multicast_dynamic:
        yield "multicast", await _multicast(lab, watch, hub.name, hub_tunnel.name, nbma, registered)
    cloud = lab.plan.cloud(tunnel.cloud)
    routing = protocol(cloud.routing.protocol)
    if not routing.exchanges_routes:
        return
    deadline_s = routing.deadline_s(cloud)
    yield "adjacent", await _until_adjacent(lab, cloud.name, (hub, hub_tunnel), (spoke, tunnel), deadline_s)
    if host_behind(lab.plan, spoke) and host_behind(lab.plan, hub):
        yield "reachable", await _until_reachable(lab, hub, spoke, deadline_s)


async def registered_at(
    lab: RunningLab, watch: Watch, hub: str, spoke: str, tunnel: TunnelPlan, nbma: str
) -> float:
    """When the hub bound the new address; a registration may be as far away as its interval.

    Raises LabError when it refused.
    """
    cloud = lab.plan.cloud(tunnel.cloud)
    renewal_s = cloud.registration_interval_s or cloud.holding_time_s / 3
    return await _registered(watch, hub, spoke, tunnel, nbma, REGISTER_DEADLINE_S + renewal_s)


async def _registered(
    watch: Watch, hub: str, spoke: str, tunnel: TunnelPlan, nbma: str, deadline_s: float = REGISTER_DEADLINE_S
) -> float:
    """When the hub bound the new address. Raises LabError when it refused."""
    protocol_address = str(tunnel.address.ip)

    def matches(event: Event) -> bool:
        told = event["event"] in ("peer-registered", "peer-refused") and event["node"] == hub
        return told and event.get("protocol") == protocol_address and event.get("nbma") == nbma

    event = await watch.event(matches, deadline_s)
    if event is None:
        raise LabError(f"{hub} heard no registration of {protocol_address} at {nbma}")
    if event["event"] == "peer-refused":
        raise LabError(
            f"{hub} refused {spoke}: code {event['code']}, {event['meaning']}",
            hint="the old registration is unique and still valid; `unique: false` in the cloud lets it move; "
            "undo with: dmvpn-lab inject undo --all",
        )
    return float(event["at"])


async def _multicast(
    lab: RunningLab, watch: Watch, hub: str, tunnel: str, nbma: str, registered: float
) -> float:
    """When the hub's multicast set held the new address; a set that did not change held it already."""
    for event in watch.seen:
        same = event["event"] == "multicast-changed" and event["node"] == hub
        if same and event["interface"] == tunnel and nbma in event["added"]:
            return float(event["at"])
    peers = {entry["nbma"] for entry in await lab.query(hub, "multicast")}
    if nbma not in peers:
        raise LabError(f"{hub} does not send multicast to {nbma}")
    return registered


async def _until_adjacent(
    lab: RunningLab,
    cloud: str,
    at_hub: tuple[NodePlan, TunnelPlan],
    at_spoke: tuple[NodePlan, TunnelPlan],
    deadline_s: float,
) -> float:
    (hub, hub_tunnel), (spoke, tunnel) = at_hub, at_spoke
    end = time.monotonic() + deadline_s
    settings = lab.plan.cloud(cloud)
    while True:
        up_hub, seen_hub = await adjacent(lab, settings, hub.name, tunnel.address.ip)
        up_spoke, seen_spoke = await adjacent(lab, settings, spoke.name, hub_tunnel.address.ip)
        if up_hub and up_spoke:
            return time.time()
        if time.monotonic() > end:
            raise LabError(f"no adjacency: {hub.name} sees {seen_hub}, {spoke.name} sees {seen_spoke}")
        await asyncio.sleep(STEP_S)


async def _until_reachable(lab: RunningLab, hub: NodePlan, spoke: NodePlan, deadline_s: float) -> float:
    source, target = host_behind(lab.plan, hub), host_behind(lab.plan, spoke)
    assert source is not None
    assert target is not None
    address = target.interfaces[0].address
    assert address is not None
    end = time.monotonic() + deadline_s
    while True:
        ping = await lab.exec(source.name, "ping", "-n", "-c", "1", "-W", "1", str(address.ip))
        if ping.exit_code == 0:
            return time.time()
        if time.monotonic() > end:
            raise LabError(f"{source.name} does not reach {target.name} ({address.ip})")
        await asyncio.sleep(STEP_S)
