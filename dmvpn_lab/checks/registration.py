"""Every spoke is registered at every hub: the hub's cache entry is what it must be."""

from __future__ import annotations

from collections.abc import AsyncIterator

from dmvpn_lab.address import IpAddress
from dmvpn_lab.answers import NhrpEntry
from dmvpn_lab.checks.base import CheckResult, awaited
from dmvpn_lab.checks.outside import outside
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import NodePlan, TunnelPlan

DEADLINE_S = 30.0
"""A lease (dhcpcd asks again after 4, 8 s), and requests after 0, 1, 3, 7, 15 s."""


class Registration:
    """Protocol address, NBMA address, holding time and flags in the hub's cache."""

    name = "registration"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """One result for each spoke and hub of each cloud."""
        for cloud in lab.plan.clouds:
            for hub, hub_tunnel in lab.plan.ours(cloud.name, "hub"):
                for spoke, tunnel in lab.plan.members(cloud.name, "spoke"):
                    for protocol in tunnel.registered():
                        yield await registered(lab, watch, (hub, hub_tunnel), (spoke, tunnel), protocol)


async def registered(
    lab: RunningLab,
    watch: Watch,
    at_hub: tuple[NodePlan, TunnelPlan],
    at_spoke: tuple[NodePlan, TunnelPlan],
    protocol: IpAddress,
) -> CheckResult:
    """Wait until a hub has an address of a spoke as it must."""
    (hub, hub_tunnel), (spoke, tunnel) = at_hub, at_spoke
    cloud = lab.plan.cloud(tunnel.cloud)
    flags = ["registered"]
    flags += ["multicast"] if hub_tunnel.map_multicast_dynamic else []
    flags += ["unique"] if cloud.unique else []
    flags += ["nat"] if lab.plan.behind(spoke.name) else []
    wanted = f"hold {cloud.holding_time_s}, {', '.join(sorted(flags))}"

    async def observe() -> tuple[bool, str]:
        present = await outside(lab, spoke.name, tunnel.name)
        entries: list[NhrpEntry] = await lab.query(hub.name, "nhrp")
        entry = next((e for e in entries if e["protocol"] == str(protocol)), None)
        if entry is None:
            return False, "no entry"
        seen = f"hold {entry['holding_time_s']}, {', '.join(entry['flags'])}"
        there = entry["nbma"] == present and entry["interface"] == hub_tunnel.name
        return there and seen == wanted, f"{entry['protocol']} -> {entry['nbma']} ({seen})"

    expected = f"{protocol} -> {spoke.name}'s NBMA address ({wanted})"
    return await awaited(Registration.name, spoke.name, expected, observe, watch, DEADLINE_S)
