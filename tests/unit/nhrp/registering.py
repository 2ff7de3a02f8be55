"""A spoke that registers, and what its hub says to that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dmvpn_lab.nhrp.actions import Action
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.nhc import State
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import agent, spoke_config
from tests.unit.nhrp.deck import HUB_NBMA, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import events, reply


def started(**changes: object) -> tuple[Agent, Packet]:
    """A spoke that has its address since time 0, and its first request."""
    spoke = agent(spoke_config(**changes))
    return spoke, reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0))


def answer(to: Packet, code: int = 0, **changes: object) -> bytes:
    """A hub's reply."""
    entry = replace(to.cies[0], code=code, holding_time_s=0 if code else to.cies[0].holding_time_s)
    return encode(replace(to, type=PacketType.REGISTRATION_REPLY, cies=(entry,), **changes))  # type: ignore[arg-type]


def registered(**changes: object) -> Agent:
    """A spoke whose hub said Success at time 0."""
    spoke, request = started(**changes)
    assert events(spoke.receive(TUNNEL, answer(request), HUB_NBMA, 0.0)) == ["registered"]
    return spoke


def until(spoke: Agent, end: float) -> Iterator[tuple[float, list[Action]]]:
    """Every tick up to a time, with what was done."""
    while (due := spoke.deadline()) is not None and due <= end:
        yield due, spoke.tick(due)


def state(of: Agent) -> State:
    return of.tunnels[TUNNEL].registrations[0].state
