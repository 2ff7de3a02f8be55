"""Every spoke is registered at every hub: the hub's cache entry is what it must be."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from dmvpn_lab.address import IpAddress
from dmvpn_lab.answers import NhrpEntry
from dmvpn_lab.checks.base import STEP_S, CheckResult, awaited
from dmvpn_lab.checks.outside import outside
from dmvpn_lab.errors import LabError
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


async def all_there(lab: RunningLab, watch: Watch, deadline_s: float = DEADLINE_S) -> list[str]:
    """Wait until each hub of ours has all addresses of each spoke of ours; what is missing then, in words.

    Content with less than the check: whatever flags and time a registration has.
    """
    end = time.monotonic() + deadline_s
    while (missing := await _missing(lab)) and (left_s := end - time.monotonic()) > 0:
        await watch.wait(min(STEP_S, left_s))
    return missing


async def _missing(lab: RunningLab) -> list[str]:
    found: list[str] = []
    for cloud in lab.plan.clouds:
        spokes = lab.plan.ours(cloud.name, "spoke")
        for hub, at_hub in lab.plan.ours(cloud.name, "hub") if spokes else ():
            try:
                entries: list[NhrpEntry] = await lab.query(hub.name, "nhrp")
            except LabError as error:
                found.append(str(error))
                continue
            there = {e["protocol"] for e in entries
                     if e["interface"] == at_hub.name and "registered" in e["flags"]}  # fmt: skip
            found += [f"{hub.name} has no {address} of {spoke.name}"
                      for spoke, tunnel in spokes for address in map(str, tunnel.registered())
                      if address not in there]  # fmt: skip
    return found


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
