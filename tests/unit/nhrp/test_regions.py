"""Three servers in a row: spokes of two regional hubs meet through a central one, and nobody else joins in.

spoke A -- hub 1 ==== central ==== hub 2 -- spoke B     10.1.0.0/24, 10.0.0.0/24, 10.2.0.0/24
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from dmvpn_lab.nhrp.actions import RemoveShortcut
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import ErrorCode, PacketType
from dmvpn_lab.nhrp.packet import Packet, encode, error_indication
from tests.unit.nhrp.builders import agent, hub_config, spoke_config
from tests.unit.nhrp.cloud import Cloud, about, route
from tests.unit.nhrp.deck import SPOKE_NBMA, TUNNEL

UP = "tunnel1"
"""A regional hub's tunnel to the central one."""
CENTRAL, CENTRAL_NBMA = IPv4Address("10.0.0.1"), IPv4Address("172.17.0.1")
HUBS = [IPv4Address("172.17.1.1"), IPv4Address("172.17.2.1")]
"""NBMA addresses of the regional hubs towards their spokes."""
UPS = [IPv4Address("172.18.1.1"), IPv4Address("172.18.2.1")]
"""The same towards the central one."""
A, B = IPv4Address("10.1.0.11"), IPv4Address("10.2.0.12")
A_NBMA, B_NBMA = SPOKE_NBMA, IPv4Address("172.16.2.1")
STRANGER = IPv4Address("192.0.2.66")
Q, P = PacketType.RESOLUTION_REQUEST, PacketType.PURGE_REQUEST


def regions() -> Cloud:
    """All registered, and every route in place."""
    made = Cloud(links=dict.fromkeys(UPS, UP))
    made.agents[CENTRAL_NBMA] = agent(hub_config(redirect=True))
    made.routes[CENTRAL_NBMA] = {}
    for number, (nbma, up, spoke, spoke_nbma) in enumerate(zip(HUBS, UPS, (A, B), (A_NBMA, B_NBMA),
                                                               strict=True), 1):  # fmt: skip
        ours, above = IPv4Address(f"10.{number}.0.1"), CENTRAL + number
        below = hub_config(redirect=True, address=IPv4Interface(f"{ours}/24"))
        to_central = spoke_config(name=UP, source="eth3", redirect=True, address=IPv4Interface(f"{above}/24"),
                                  nhs=(CENTRAL,), static_maps=((CENTRAL, CENTRAL_NBMA),))  # fmt: skip
        made.agents[nbma] = made.agents[up] = agent(below, to_central, seed=number)
        made.agents[spoke_nbma] = agent(
            spoke_config(resolve=True, shortcut=True, address=IPv4Interface(f"{spoke}/24"), nhs=(ours,),
                         static_maps=((ours, nbma),), map_multicast=(nbma,)), seed=10 + number,
        )  # fmt: skip
        made.routes[nbma] = made.routes[up] = {
            "lan": route(f"192.168.{number}.0/24", TUNNEL, spoke),
            "near": route(f"10.{number}.0.0/24", TUNNEL),
            "far": route("192.168.0.0/16", UP, CENTRAL), "tunnels": route("10.0.0.0/8", UP, CENTRAL),
        }  # fmt: skip
        made.routes[spoke_nbma] = {"lan": route(f"192.168.{number}.0/24", "eth2"),
                                   "far": route("192.168.0.0/16", TUNNEL, ours)}  # fmt: skip
        for network in (f"192.168.{number}.0/24", f"10.{number}.0.0/24"):
            made.routes[CENTRAL_NBMA][network] = route(network, TUNNEL, above)
    for nbma in made.agents:
        link = made.links.get(nbma, TUNNEL)
        made.carry_out(nbma, made.agents[nbma].source_changed(link, nbma, 0.0))
    made.forget()
    return made


def met() -> Cloud:
    """Hub 1 forwarded a packet of spoke A to the central hub, and said that there is a shorter way."""
    made = regions()
    done = made.agents[HUBS[0]].forwarded(TUNNEL, UP, A_NBMA, about(), made.now)
    made.carry_out(HUBS[0], done)
    return made


def way(made: Cloud, kind: int) -> list[tuple[IPv4Address, IPv4Address]]:
    """Where packets of a kind went from and to."""
    return [(source, to) for source, to, packet in made.sent if packet.type == kind]


UPWARDS = [(A_NBMA, HUBS[0]), (UPS[0], CENTRAL_NBMA), (CENTRAL_NBMA, UPS[1]), (HUBS[1], B_NBMA)]
BACK = [(to, source) for source, to in reversed(UPWARDS)]


def test_a_question_passes_three_servers_and_the_answer_comes_back_by_the_same_way() -> None:
    made = met()
    assert way(made, Q) == UPWARDS
    assert way(made, PacketType.RESOLUTION_REPLY) == BACK
    assert made.shortcuts(A_NBMA) == [("192.168.2.0/24", str(B))]


def test_each_server_takes_a_hop_and_leaves_its_record_each_way() -> None:
    made = met()
    asked = next(packet for _, to, packet in made.sent if packet.type == Q and to == B_NBMA)
    answered = next(packet for _, to, packet in made.sent if packet.type == 2 and to == A_NBMA)
    for packet, kind, servers in ((asked, 4, ["10.0.0.2", "10.0.0.1", "10.2.0.1"]),
                                  (answered, 5, ["10.0.0.3", "10.0.0.1", "10.1.0.1"])):  # fmt: skip
        extension = packet.extension(kind)
        assert extension is not None
        assert [str(cie.protocol) for cie in extension.cies()] == servers
        assert packet.hop_count == 255 - 3


def test_a_question_whose_hops_end_at_the_second_server_is_told_to_its_asker() -> None:
    made = met()
    question = replace(made.sent[1][2], hop_count=2, request_id=77)
    made.forget()
    made.carry_out(HUBS[0], made.agents[HUBS[0]].receive(TUNNEL, encode(question), A_NBMA, made.now))
    assert way(made, PacketType.ERROR_INDICATION) == [(CENTRAL_NBMA, UPS[0]), (HUBS[0], A_NBMA)]
    assert (made.sent[-1][2].error_code, made.sent[-1][2].destination_protocol) == (15, A)
    assert made.agents[A_NBMA].counters()[TUNNEL]["error-received-code-15"] == 1


def test_a_lan_that_goes_is_purged_through_three_servers_and_the_reply_comes_back() -> None:
    made = met()
    made.forget()
    del made.routes[B_NBMA]["lan"]
    made.carry_out(B_NBMA, made.agents[B_NBMA].routes_changed())
    assert way(made, P) == BACK
    assert way(made, PacketType.PURGE_REPLY) == UPWARDS
    assert [str(a.prefix) for a in made.done[A_NBMA] if isinstance(a, RemoveShortcut)] == ["192.168.2.0/24"]
    assert made.agents[B_NBMA].tick(100.0) == []


def forged(source: IPv4Address = B, to: IPv4Address = A) -> Packet:
    entry = Cie(prefix_length=24, protocol=IPv4Address("192.168.2.0"))
    return Packet(P, 0, 99, B_NBMA, source, to, (entry,))


@pytest.mark.parametrize(
    ("at", "outer", "packet"),
    [
        (CENTRAL_NBMA, UPS[0], forged()),
        (CENTRAL_NBMA, STRANGER, forged()),
        (HUBS[0], A_NBMA, forged()),
        (HUBS[0], STRANGER, forged()),
        (HUBS[1], B_NBMA, forged(source=IPv4Address("10.2.0.13"))),
        (HUBS[1], B_NBMA, forged(source=IPv4Address("10.1.0.1"))),
    ],
    ids=["the wrong region", "a stranger", "the asker", "a stranger below", "a neighbour", "a hub"],
)
def test_a_purge_in_anothers_name_reaches_nobody(at: IPv4Address, outer: IPv4Address, packet: Packet) -> None:
    made = met()
    made.forget()
    link = made.links.get(at, TUNNEL)
    made.carry_out(at, made.agents[at].receive(link, encode(packet), outer, made.now))
    assert way(made, P) == []
    assert made.agents[A_NBMA].shortcuts(TUNNEL) != []


def test_errors_of_strangers_and_errors_about_nobody_are_not_passed_on() -> None:
    made = met()
    question = encode(made.sent[1][2])
    made.forget()
    error = error_indication(question, ErrorCode.PROTOCOL_ERROR, 0, STRANGER, IPv4Address("10.0.0.9"))
    for outer, packet in ((STRANGER, error), (UPS[1], replace(error, destination_protocol=STRANGER))):
        hub = made.agents[CENTRAL_NBMA]
        made.carry_out(CENTRAL_NBMA, hub.receive(TUNNEL, encode(packet), outer, made.now))
    assert made.sent == []


def test_an_error_with_its_last_hop_ends() -> None:
    made = met()
    question = encode(made.sent[1][2])
    made.forget()
    error = error_indication(question, ErrorCode.PROTOCOL_ERROR, 0, UPS[1], IPv4Address("10.0.0.3"))
    hub = made.agents[CENTRAL_NBMA]
    last = encode(replace(error, hop_count=1))
    made.carry_out(CENTRAL_NBMA, hub.receive(TUNNEL, last, UPS[1], made.now))
    assert made.sent == []
    made.carry_out(CENTRAL_NBMA, hub.receive(TUNNEL, encode(error), UPS[1], made.now))
    assert way(made, PacketType.ERROR_INDICATION) == [(CENTRAL_NBMA, UPS[0]), (HUBS[0], A_NBMA)]


def test_a_reply_that_would_go_back_to_its_sender_ends() -> None:
    made = met()
    answer = next(packet for source, _, packet in made.sent if packet.type == 2 and source == B_NBMA)
    made.forget()
    hub = made.agents[CENTRAL_NBMA]
    made.carry_out(CENTRAL_NBMA, hub.receive(TUNNEL, encode(answer), UPS[0], made.now))
    assert made.sent == []
    assert hub.counters()[TUNNEL]["unknown-station"] == 1
