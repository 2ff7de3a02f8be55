"""A flood in as many names as one likes, of any kind of packet, takes the memory of a smaller one."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from dmvpn_lab.nhrp import agent as agent_module
from dmvpn_lab.nhrp import askers, behind, cache, form, resolver, server, shortcuts, transit
from dmvpn_lab.nhrp.actions import Action, FindRoute, InstallNeighbour
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import encode, error_indication
from dmvpn_lab.nhrp.route import Route
from tests.unit.nhrp.builders import agent, hub_config, request
from tests.unit.nhrp.cloud import about
from tests.unit.nhrp.deck import HUB_NBMA, SPOKE_NBMA, TUNNEL

LIMIT = 64
"""Of everything that is bounded, in these tests."""
FIRST, MORE = 500, 1500
"""Packets until everything is full, and packets then."""
GROWTH = 30_000
"""Octets that the second flood may add: three times as many names would need far more."""
SERVER, SERVER_NBMA = IPv4Address("10.0.0.2"), IPv4Address("172.17.0.2")
STATION, FAR = IPv4Address("10.0.16.0"), IPv4Address("192.168.0.2")

Flood = Callable[[Agent, int, float], list[Action]]


@pytest.fixture
def flooded(monkeypatch: pytest.MonkeyPatch) -> Agent:
    """A router in every role at once, whose limits are small."""
    for module, name in ((askers, "ASKERS_LIMIT"), (askers, "TOTAL_LIMIT"), (behind, "LIMIT"),
                         (cache, "PEER_LIMIT"), (form, "LIMIT"), (resolver, "QUESTION_LIMIT"),
                         (server, "PENDING_LIMIT"), (shortcuts, "LIMIT"), (transit, "LOOKS_LIMIT"),
                         (transit, "INDICATIONS_LIMIT")):  # fmt: skip
        assert getattr(module, name) > LIMIT
        monkeypatch.setattr(module, name, LIMIT)
    monkeypatch.setattr(agent_module, "Cache", partial(cache.Cache, limit=LIMIT))
    config = hub_config(redirect=True, resolve=True, shortcut=True, address=IPv4Interface("10.0.0.1/8"),
                        nhs=(SERVER,), static_maps=((SERVER, SERVER_NBMA),))  # fmt: skip
    made = agent(config)
    made.source_changed(TUNNEL, HUB_NBMA, 0.0)
    return made


def receive(made: Agent, packet: object, nbma: IPv4Address, now: float) -> list[Action]:
    return made.receive(TUNNEL, encode(packet), nbma, now)  # type: ignore[arg-type]


def registrations(made: Agent, number: int, now: float) -> list[Action]:
    nbma = SPOKE_NBMA + number
    return receive(made, request(STATION + number, nbma), nbma, now)


def registrations_of_one(made: Agent, number: int, now: float) -> list[Action]:
    return receive(made, request(STATION + number, SPOKE_NBMA), SPOKE_NBMA, now)


def registrations_in_many_forms(made: Agent, number: int, now: float) -> list[Action]:
    entry = Cie(prefix_length=32, mtu=number, holding_time_s=300)
    return receive(made, request(STATION, SPOKE_NBMA, cie=entry, request_id=number), SPOKE_NBMA, now)


def questions_for_a_lan(made: Agent, number: int, now: float) -> list[Action]:
    question = request(STATION + number, type=PacketType.RESOLUTION_REQUEST,
                       destination_protocol=FAR + (number << 8))  # fmt: skip
    return receive(made, question, SPOKE_NBMA, now)


def questions_for_the_router(made: Agent, number: int, now: float) -> list[Action]:
    question = request(STATION + number, type=PacketType.RESOLUTION_REQUEST)
    return receive(made, question, SPOKE_NBMA + number, now)


def answers(made: Agent, number: int, now: float) -> list[Action]:
    entry = Cie(prefix_length=24, holding_time_s=300, nbma=SPOKE_NBMA, protocol=STATION)
    answer = request(IPv4Address("10.0.0.1"), type=PacketType.RESOLUTION_REPLY, request_id=number,
                     destination_protocol=FAR + (number << 8), cie=entry)  # fmt: skip
    return receive(made, answer, SERVER_NBMA, now)


def purges(made: Agent, number: int, now: float) -> list[Action]:
    packet = replace(request(STATION + number), type=PacketType.PURGE_REQUEST)
    return receive(made, packet, SPOKE_NBMA + number, now)


def indications(made: Agent, number: int, now: float) -> list[Action]:
    packet = request(type=PacketType.TRAFFIC_INDICATION)
    packet = replace(packet, cies=(), payload=about(FAR, FAR + ((number + 1) << 8)))
    return receive(made, packet, SERVER_NBMA, now)


def errors(made: Agent, number: int, now: float) -> list[Action]:
    station, nbma = STATION + number, SPOKE_NBMA + number
    packet = error_indication(encode(request(station)), number, 0, nbma, station)
    return receive(made, packet, nbma, now)


def forwarded_packets(made: Agent, number: int, now: float) -> list[Action]:
    if number == 0:
        carry_out(made, registrations(made, 0, now), now)
    return made.forwarded(TUNNEL, TUNNEL, SPOKE_NBMA, about(FAR, FAR + (number << 8)), now)


def missing_neighbours(made: Agent, number: int, now: float) -> list[Action]:
    return made.probed(TUNNEL, STATION + number, now)


def carry_out(made: Agent, actions: list[Action], now: float) -> None:
    """The kernel takes everything; each LAN is behind this router, or by its server."""
    for action in actions:
        match action:
            case InstallNeighbour(token=int(token)):
                carry_out(made, made.installed(token, True, now), now)
            case FindRoute(token, address):
                lan = IPv4Network(f"{address}/24", strict=False)
                near = Route(lan, "eth2", None) if address == FAR else Route(lan, TUNNEL, SERVER)
                found = Route(lan, "eth2", None) if token < 0 else near
                carry_out(made, made.found(token, found, now), now)


def send(made: Agent, flood: Flood, numbers: range) -> int:
    """Octets in use after a flood."""
    for number in numbers:
        now = 1.0 + number / 1000
        carry_out(made, flood(made, number, now), now)
        made.take_changes()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize(
    "flood",
    [registrations, registrations_of_one, registrations_in_many_forms, questions_for_a_lan,
     questions_for_the_router, answers, purges, indications, errors, forwarded_packets, missing_neighbours],
)  # fmt: skip
def test_a_flood_in_four_times_as_many_names_takes_no_more_memory(flooded: Agent, flood: Flood) -> None:
    tracemalloc.start()
    try:
        before = send(flooded, flood, range(FIRST))
        after = send(flooded, flood, range(FIRST, FIRST + MORE))
    finally:
        tracemalloc.stop()
    assert after - before < GROWTH
