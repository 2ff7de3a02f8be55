"""Multicast from hub to each spoke and back, counted at the receivers.

Every router of a cloud sends the same number of datagrams to a group out of its tunnel, and
counts what it receives from whom. A copy too many is as wrong as one too few.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from dmvpn_lab.checks.base import CheckResult
from dmvpn_lab.checks.registration import DEADLINE_S as REGISTRATION_DEADLINE_S
from dmvpn_lab.errors import LabError
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.spec.plan_types import NodePlan, TunnelPlan

COUNT = 5
"""Datagrams that each router sends."""
START_DEADLINE_S = 60.0
GROUPS = {4: "239.255.77.77", 6: "ff02::7777"}
PORT = 7777
PROBE = r"""
import json, select, socket, struct, sys, time
address, interface, group, port, tag, count, expected = json.loads(sys.argv[1])
six, index = ":" in address, socket.if_nametoindex(interface)
family, level = (socket.AF_INET6, 41) if six else (socket.AF_INET, 0)
listener, sender = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # others may verify at the same time
if six:
    target, own = (group, port, 0, index), struct.pack("=i", index)
    listener.setsockopt(level, socket.IPV6_JOIN_GROUP, socket.inet_pton(family, group) + own)
    options = socket.IPV6_MULTICAST_IF, socket.IPV6_MULTICAST_LOOP, socket.IPV6_MULTICAST_HOPS
    sender.bind((address, 0))
else:
    target, own = (group, port), socket.inet_aton(address)
    listener.setsockopt(level, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + own)
    options = socket.IP_MULTICAST_IF, socket.IP_MULTICAST_LOOP, socket.IP_MULTICAST_TTL
listener.bind(target)
sender.setsockopt(level, options[0], own)
sender.setsockopt(level, options[1], 0)
sender.setsockopt(level, options[2], 1)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    sender.sendto(tag.encode(), target)
heard, end = {}, time.monotonic() + 5.0
while (left := end - time.monotonic()) > 0 and select.select([listener], [], [], left)[0]:
    data, (source, *_) = listener.recvfrom(2048)
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
            for version in cloud.versions():
                heard = await _exchange(lab, hubs, spokes, version)
                waited_s = round(time.monotonic() - began, 2)
                for (hub, at_hub), (spoke, at_spoke) in itertools.product(hubs, spokes):
                    for sender, tunnel, receiver in ((hub, at_hub, spoke), (spoke, at_spoke, hub)):
                        count = heard[receiver.name].get(_own(tunnel, version), 0)
                        words = "datagrams" if version == 4 else "IPv6 datagrams"
                        expected = f"{COUNT} {words} from {sender.name}"
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


def _own(tunnel: TunnelPlan, version: int) -> str:
    """A member's (global) address of that family."""
    return next(str(each.ip) for each in tunnel.addresses() if each.version == version)


async def _exchange(
    lab: RunningLab, hubs: Members, spokes: Members, version: int
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
                _own(tunnel, version), tunnel.name, GROUPS[version], PORT, tag, COUNT,
                [_own(other, version) for _, other in others],
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
