"""A spoke of a phase 2 cloud that resolves another one, and what its server answers."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from dmvpn_lab.nhrp.actions import Action, InstallNeighbour
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet
from tests.unit.nhrp.builders import agent, deliver, spoke_config
from tests.unit.nhrp.deck import HUB_NBMA, OTHER, OTHER_NBMA, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import reply

VIA_HUB = InstallNeighbour(TUNNEL, OTHER, HUB_NBMA, on_demand=True)
DIRECT = InstallNeighbour(TUNNEL, OTHER, OTHER_NBMA, on_demand=True)


def spoke(**changes: object) -> Agent:
    """Spoke A of a phase 2 cloud at work since time 0, registered for good."""
    made = agent(spoke_config(resolve=True, registration_interval_s=10**9, **changes))
    sent = reply(made.source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    deliver(made, replace(sent, type=PacketType.REGISTRATION_REPLY), HUB_NBMA, 0.0)
    return made


def answer(question: Packet, *, code: int = 0, nbma: IPv4Address | None = OTHER_NBMA, holding: int = 300,
           **changes: object) -> Packet:  # fmt: skip
    """The server's reply."""
    entry = Cie(code=code, prefix_length=32, mtu=1400, holding_time_s=holding, nbma=nbma, protocol=OTHER)
    packet = replace(question, type=PacketType.RESOLUTION_REPLY, cies=(entry,))
    return replace(packet, **changes)  # type: ignore[arg-type]


def asked(of: Agent, now: float = 1.0) -> Packet:
    """The question that a probe makes."""
    return reply(of.probed(TUNNEL, OTHER, now))


def told(of: Agent, now: float = 1.0, **changes: object) -> list[Action]:
    """A probe and the answer to its question."""
    return deliver(of, answer(asked(of, now), **changes), HUB_NBMA, now)  # type: ignore[arg-type]
