"""Registrations that the core serves, without a kernel: the ground that the live figures stand on."""

from __future__ import annotations

import random
import time

from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.config import TunnelConfig
from tests.bench.figures import Figure, say
from tests.bench.registration import HOLDING_TIME_S, HUB, HUB_NBMA, nbma, request

GROUP = "core, no kernel"
TUNNEL = "tunnel0"


def measure(sizes: tuple[int, ...]) -> list[Figure]:
    """CPU seconds a thousand registrations, the first ones and their refresh."""
    figures = []
    for spokes in sizes:
        say(f"core: {spokes} spokes")
        agent = hub()
        for what, number in (("first", 1), ("refresh", 2)):
            spent = serve(agent, spokes, number)
            figures.append(Figure(GROUP, f"{what}, {spokes} spokes", 1000 * spent / spokes, "CPU s / 1,000"))
    return figures


def hub() -> Agent:
    """A hub whose tunnel has its source."""
    config = TunnelConfig(
        name=TUNNEL, mode="multipoint", source="eth1", address=HUB, network_id=1, mtu=1400,
        holding_time_s=HOLDING_TIME_S, unique=False, map_multicast_dynamic=True,
    )  # fmt: skip
    agent = Agent((config,), random.Random(1))
    agent.source_changed(TUNNEL, HUB_NBMA.ip, 0.0)
    return agent


def serve(agent: Agent, spokes: int, number: int) -> float:
    """CPU seconds for a registration of each spoke; the kernel takes every neighbour at once."""
    packets = [(request(spoke, number), nbma(spoke)) for spoke in range(spokes)]
    replies, began = 0, time.process_time()
    for data, source in packets:
        answers: list[Action] = []
        for action in agent.receive(TUNNEL, data, source, 1.0):
            if isinstance(action, InstallNeighbour) and action.token is not None:
                answers += agent.installed(action.token, True, 1.0)
            else:
                answers.append(action)
        replies += sum(isinstance(answer, SendPacket) for answer in answers)
        agent.take_changes()  # as the shell does
        agent.deadline()
    spent = time.process_time() - began
    assert replies == spokes
    return spent
