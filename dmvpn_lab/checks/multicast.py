"""Multicast from hub to each spoke and back, counted at the receivers.

Every router of a cloud sends the same number of datagrams to a group out of its tunnel, and
counts what it receives from whom. A copy too many is as wrong as one too few.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from dmvpn_lab.checks.base import CheckResult
from dmvpn_lab.checks.registration import DEADLINE_S as REGISTRATION_DEADLINE_S
from dmvpn_lab.errors import LabError
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, TunnelPlan

COUNT = 5
"""Datagrams that each router sends."""
START_DEADLINE_S = 60.0
PROBE = r"""
import json, select, socket, struct, sys, time
address, group, port, tag, count, expected = json.loads(sys.argv[1])
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind((group, port))
listener.setsockopt(0, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(address))
listener.setsockopt(0, socket.IP_MULTICAST_LOOP, 0)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(0, socket.IP_MULTICAST_IF, socket.inet_aton(address))
sender.setsockopt(0, socket.IP_MULTICAST_LOOP, 0)
sender.setsockopt(0, socket.IP_MULTICAST_TTL, 1)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    sender.sendto(tag.encode(), (group, port))
heard, end = {}, time.monotonic() + 5.0
while (left := end - time.monotonic()) > 0 and select.select([listener], [], [], left)[0]:
    data, (source, _) = listener.recvfrom(2048)
    if data == tag.encode():
        heard[source] = heard.get(source, 0) + 1
    if all(heard.get(each, 0) >= count for each in expected):
        end = min(end, time.monotonic() + 0.3)
print(json.dumps(heard), flush=True)
"""
"""Runs in each router. Waits 0.3 s more once it has all, to hear a copy too many."""


class Multicast:
    """`ip nhrp map multicast` on the spokes, `... dynamic` on the hub, by effect."""

    name = "multicast"

    async def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """One result for each direction between each hub and spoke of each cloud."""
        for cloud in lab.plan.clouds:
            hubs, spokes = lab.plan.ours(cloud.name, "hub"), lab.plan.ours(cloud.name, "spoke")
            if not hubs or not spokes:
                continue
            began = time.monotonic()
            await _registered(lab, watch, hubs, spokes)
            heard = await _exchange(lab, cloud, hubs, spokes)
            waited_s = round(time.monotonic() - began, 2)
            for hub, at_hub in hubs:
                for spoke, at_spoke in spokes:
                    ends = ((hub, at_hub, spoke), (spoke, at_spoke, hub))
                    for sender, tunnel, receiver in ends:
                        count = heard[receiver.name].get(str(tunnel.address.ip), 0)
                        expected = f"{COUNT} datagrams from {sender.name}"
                        yield CheckResult(
                            self.name, receiver.name, count == COUNT, expected, f"{count} received", waited_s
                        )


Members = tuple[tuple[NodePlan, TunnelPlan], ...]


async def _registered(lab: RunningLab, watch: Watch, hubs: Members, spokes: Members) -> None:
    """Wait until each hub would copy to each spoke; if that never happens the count will tell."""
    wanted = {str(tunnel.address.ip) for _, tunnel in spokes}
    end = time.monotonic() + watch.bounded(REGISTRATION_DEADLINE_S)
    for hub, _ in hubs:
        while time.monotonic() < end:
            entries = await lab.query(hub.name, "nhrp")
            if wanted <= {entry["protocol"] for entry in entries}:
                break
            await watch.wait(end - time.monotonic())


async def _exchange(
    lab: RunningLab, cloud: CloudPlan, hubs: Members, spokes: Members
) -> dict[str, dict[str, int]]:
    """Run the probe in every member at once. Node -> sender's tunnel address -> datagrams."""
    tag = uuid.uuid4().hex
    members = (*hubs, *spokes)
    async with asyncio.timeout(START_DEADLINE_S), asyncio.TaskGroup() as group:
        go = asyncio.Barrier(len(members))
        tasks = {}
        for node, tunnel in members:
            others = spokes if tunnel.role == "hub" else hubs
            request = [
                str(tunnel.address.ip), "239.255.77.77", 7777, tag, COUNT,
                [str(other.address.ip) for _, other in others],
            ]  # fmt: skip
            tasks[node.name] = group.create_task(_probe(lab, node.name, request, go))
    return {name: task.result() for name, task in tasks.items()}


async def _probe(lab: RunningLab, node: str, request: list[Any], go: asyncio.Barrier) -> dict[str, int]:
    argv = ["python3", "-I", "-S", "-c", PROBE, json.dumps(request)]
    async with lab.stream(node, argv) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if await process.stdout.readline() != b"ready\n":
            said = (await process.stderr.read()).decode(errors="replace").splitlines()
            raise LabError(f"{node}: the multicast probe did not start: {said[-1] if said else 'no word'}")
        await go.wait()
        process.stdin.write(b"go\n")
        heard: dict[str, int] = json.loads(await process.stdout.readline() or b"{}")
        return heard
