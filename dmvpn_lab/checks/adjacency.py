"""Routing adjacency, on both ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from dmvpn_lab.address import IpAddress
from dmvpn_lab.checks.base import CheckResult, awaited
from dmvpn_lab.errors import LabError
from dmvpn_lab.routing import protocol
from dmvpn_lab.routing.base import RoutingProtocol
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import CloudPlan


class AdjacencyCheck:
    """Each hub has every spoke as a neighbour with whom it exchanges routes, and the reverse."""

    name = "adjacency"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """One result for each end of each adjacency."""
        for cloud in lab.plan.clouds:
            if not protocol(cloud.routing.protocol).exchanges_routes:
                continue
            for hub, at_hub in lab.plan.members(cloud.name, "hub"):
                for spoke, at_spoke in lab.plan.members(cloud.name, "spoke"):
                    for near, far in zip(at_hub.addresses(), at_spoke.addresses(), strict=True):
                        if hub.external is None:
                            yield await _one(lab, watch, cloud, hub.name, far.ip, spoke.name)
                        if spoke.external is None:
                            yield await _one(lab, watch, cloud, spoke.name, near.ip, hub.name)


async def _one(
    lab: RunningLab, watch: Watch, cloud: CloudPlan, node: str, neighbour: IpAddress, name: str
) -> CheckResult:
    routing = protocol(cloud.routing.protocol)

    async def observe() -> tuple[bool, str]:
        return await adjacent(lab, cloud, node, neighbour)

    expected = f"{routing.name} neighbour {neighbour} ({name}) up"
    return await awaited(AdjacencyCheck.name, node, expected, observe, watch, routing.deadline_s(cloud))


async def adjacent(lab: RunningLab, cloud: CloudPlan, node: str, neighbour: IpAddress) -> tuple[bool, str]:
    """Whether a router is adjacent to a neighbour now, and the state in the protocol's word."""
    routing = protocol(cloud.routing.protocol)
    try:
        adjacencies = routing.parse(await _printed(lab, node, routing))
    except (ValueError, LabError) as error:
        return False, str(error)
    for adjacency in adjacencies:
        if adjacency.neighbour == neighbour:
            return adjacency.up, f"{neighbour} {adjacency.state}"
    return False, "no such neighbour"


async def _printed(lab: RunningLab, node: str, routing: RoutingProtocol) -> str:
    """What `parse` reads. Raises LabError with the router's own words where there is nothing."""
    if routing.agent_query is not None:
        return json.dumps(await lab.query(node, routing.agent_query))
    done = await lab.exec(node, *routing.show_argv())
    if not done.stdout:
        raise LabError(done.stderr.strip() or "no answer")
    return done.stdout
