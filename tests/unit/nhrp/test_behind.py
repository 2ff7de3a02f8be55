"""A LAN that goes: who was told of it is told again, through the hub, and nobody else's word counts."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from dmvpn_lab.nhrp import askers, behind
from dmvpn_lab.nhrp.actions import RemoveShortcut
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.askers import Asker, Askers
from dmvpn_lab.nhrp.behind import Behind, Told
from dmvpn_lab.nhrp.cache import Cache
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import ExtensionType, PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.purger import Purger
from dmvpn_lab.nhrp.request_ids import RequestIds
from dmvpn_lab.nhrp.route import Route
from dmvpn_lab.nhrp.tunnel import Tunnel
from tests.unit.nhrp.builders import spoke_config
from tests.unit.nhrp.cloud import FAR, Cloud, route
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import packets
from tests.unit.nhrp.test_phase_3 import LANS, A, B, H, cloud, forward

LAN = IPv4Network(LANS[OTHER])
GONE = RemoveShortcut(TUNNEL, LAN)
STRANGER = IPv4Address("192.0.2.66")
REQUEST, REPLY = PacketType.PURGE_REQUEST, PacketType.PURGE_REPLY


def met(parent: str = "192.168.0.0/16") -> Cloud:
    """Spoke A has a shortcut to the LAN of spoke B; its own route, a summary, says nothing of that LAN."""
    made = cloud(parent)
    forward(made)
    assert made.shortcuts() == [(str(LAN), str(OTHER))]
    made.forget()
    return made


def looks(made: Cloud, nbma: IPv4Address = OTHER_NBMA) -> None:
    """The kernel of a router told that its routes changed."""
    made.carry_out(nbma, made.agents[nbma].routes_changed())


def hears(made: Cloud, packet: Packet, outer: IPv4Address, at: IPv4Address = SPOKE_NBMA) -> None:
    made.carry_out(at, made.agents[at].receive(TUNNEL, encode(packet), outer, made.now))


def purge(prefix: IPv4Network = LAN, source: IPv4Address = OTHER, to: IPv4Address = SPOKE) -> Packet:
    return Packet(
        REQUEST,
        request_id=99,
        source_nbma=OTHER_NBMA,
        source_protocol=source,
        destination_protocol=to,
        cies=(Cie(prefix_length=prefix.prefixlen, protocol=prefix.network_address),),
        extensions=(authentication("secret"),),
    )


@pytest.mark.parametrize(
    "instead",
    [
        None,
        route("0.0.0.0/0", "eth1", IPv4Address("172.16.2.254")),
        route("192.168.0.0/16", TUNNEL, HUB),
        route("192.168.2.0/25", "eth2"),
        route("192.168.0.0/16", "eth2"),
    ],
    ids=["no route", "to the Internet", "back to the hub", "longer", "shorter"],
)
def test_who_was_told_of_a_lan_that_goes_forgets_it_at_once_and_says_so(instead: Route | None) -> None:
    made = met()
    del made.routes[OTHER_NBMA]["lan"]
    if instead is not None:
        made.routes[OTHER_NBMA]["lan"] = instead
    looks(made)
    assert made.kinds() == [(B, H, REQUEST), (H, A, REQUEST), (A, H, REPLY), (H, B, REPLY)]
    assert GONE in made.done[SPOKE_NBMA]
    assert made.agents[SPOKE_NBMA].shortcuts(TUNNEL) == []
    (binding,) = [e for e in made.agents[SPOKE_NBMA].nhrp(made.now) if e["protocol"] == str(OTHER)]
    assert binding["nbma"] == B  # that router is still there
    assert packets(made.agents[OTHER_NBMA].tick(100.0)) == []  # it was answered: nothing to send again


def test_the_purge_says_the_prefix_that_was_answered_and_passes_the_hub_with_one_hop_less() -> None:
    made = met()
    del made.routes[OTHER_NBMA]["lan"]
    looks(made)
    sent, passed = made.sent[0][2], made.sent[1][2]
    assert (sent.source_protocol, sent.destination_protocol) == (OTHER, SPOKE)
    assert [(cie.protocol, cie.prefix_length) for cie in sent.cies] == [(LAN.network_address, 24)]
    assert (sent.hop_count, passed.hop_count) == (255, 254)
    assert replace(passed, hop_count=255) == sent
    assert made.agents[HUB_NBMA].counters()[TUNNEL]["forwarded"] == 4


@pytest.mark.parametrize("lan", [route(LANS[OTHER], "eth2"), route(LANS[OTHER], "eth3")])
def test_a_lan_that_stays_or_moves_to_another_port_is_no_reason(lan: Route) -> None:
    made = met()
    made.routes[OTHER_NBMA]["lan"] = lan
    made.routes[OTHER_NBMA]["more"] = route("10.9.0.0/16", "eth2")
    looks(made)
    assert made.sent == []


def test_an_answer_that_has_run_out_is_not_taken_back() -> None:
    made = met()
    del made.routes[OTHER_NBMA]["lan"]
    made.now = 301.5
    looks(made)
    assert made.sent == []


def test_it_is_sent_again_until_the_reply_comes_and_told_once_however_often_routes_change() -> None:
    made = met()
    spoke, hub = made.agents[OTHER_NBMA], made.agents.pop(HUB_NBMA)
    del made.routes[OTHER_NBMA]["lan"]
    looks(made)
    looks(made)
    assert made.kinds() == [(B, H, REQUEST)]
    made.agents[HUB_NBMA] = hub
    made.carry_out(OTHER_NBMA, spoke.tick(made.now + 2))
    assert made.kinds()[1:] == [(B, H, REQUEST), (H, A, REQUEST), (A, H, REPLY), (H, B, REPLY)]
    assert made.sent[0][2].request_id == made.sent[1][2].request_id
    assert GONE in made.done[SPOKE_NBMA]


def test_a_purge_whose_hub_is_silent_goes_through_the_next_one() -> None:
    second, second_nbma = IPv4Address("10.0.0.2"), IPv4Address("172.17.0.2")
    config = spoke_config(nhs=(HUB, second), static_maps=((HUB, HUB_NBMA), (second, second_nbma)))
    tunnel = Tunnel(config, Cache(), nbma=SPOKE_NBMA)
    made = Purger(random.Random(1), RequestIds(7))
    sent = made.take_back(LAN, OTHER, Asker(tunnel, HUB_NBMA, 300.0), 1.0)
    ways = [action.nbma for action in (*sent, *made.tick(3.0), *made.tick(9.0)) if hasattr(action, "nbma")]
    assert ways == [HUB_NBMA, second_nbma, HUB_NBMA]


def test_after_the_purge_traffic_makes_a_new_question_and_what_it_finds_holds() -> None:
    made = met()
    lan = made.routes[OTHER_NBMA].pop("lan")
    looks(made)
    made.now += 10
    forward(made)
    assert made.sent[-1][2].cies[0].code == 12  # nobody's LAN now
    made.routes[OTHER_NBMA]["lan"] = lan
    made.now += 30
    made.carry_out(SPOKE_NBMA, made.agents[SPOKE_NBMA].tick(made.now))
    made.forget()
    forward(made)
    assert made.shortcuts() == [(str(LAN), str(OTHER))]


@pytest.mark.parametrize(
    ("packet", "outer"),
    [
        (purge(), STRANGER),
        (purge(source=IPv4Address("10.0.0.13")), HUB_NBMA),
        (purge(source=IPv4Address("10.0.0.13")), OTHER_NBMA),
        (purge(IPv4Network("192.168.3.0/24")), HUB_NBMA),
        (replace(purge(), extensions=(authentication("wrong"),)), HUB_NBMA),
    ],
    ids=["a stranger", "another spoke, passed on", "another's name", "another prefix", "wrong secret"],
)
def test_nobody_elses_purge_ends_a_shortcut(packet: Packet, outer: IPv4Address) -> None:
    made = met()
    hears(made, packet, outer)
    assert made.agents[SPOKE_NBMA].shortcuts(TUNNEL) != []
    assert GONE not in made.done[SPOKE_NBMA]


@pytest.mark.parametrize(
    ("packet", "outer"),
    [
        (purge(), OTHER_NBMA),
        (purge(), HUB_NBMA),
        (purge(source=HUB), HUB_NBMA),
        (purge(IPv4Network("192.168.0.0/16")), HUB_NBMA),
        (purge(IPv4Network("192.168.2.128/25")), HUB_NBMA),
    ],
    ids=["itself", "itself through the hub", "the hub", "more than it", "a part of it"],
)
def test_the_purge_of_who_has_the_prefix_or_of_the_hub_does(packet: Packet, outer: IPv4Address) -> None:
    made = met()
    hears(made, packet, outer)
    assert GONE in made.done[SPOKE_NBMA]
    assert made.sent[-1][2].type == REPLY


def test_a_purge_that_is_passed_on_ends_its_senders_own_binding_and_no_other() -> None:
    made = met()
    hears(made, purge(IPv4Network("10.0.0.0/24"), source=IPv4Address("10.0.0.13")), HUB_NBMA)
    assert made.agents[SPOKE_NBMA].shortcuts(TUNNEL) != []
    hears(made, purge(IPv4Network("10.0.0.0/24")), HUB_NBMA)
    assert made.events(SPOKE_NBMA).count("resolution-ended") == 1
    assert made.agents[SPOKE_NBMA].shortcuts(TUNNEL) == []


def test_the_hub_passes_on_only_what_the_registrant_itself_says() -> None:
    made = met()
    for outer in (SPOKE_NBMA, STRANGER):
        hears(made, purge(), outer, HUB_NBMA)
    assert [(source, kind) for source, _, kind in made.kinds()] == [(H, REPLY), (H, REPLY)]
    assert made.agents[SPOKE_NBMA].shortcuts(TUNNEL) != []


def test_a_purge_with_its_last_hop_or_that_was_here_before_is_not_passed_on_and_its_sender_is_told() -> None:
    made = met()
    hears(made, replace(purge(), hop_count=1), OTHER_NBMA, HUB_NBMA)
    us = encode_cie(Cie(nbma=HUB_NBMA, protocol=HUB))
    record = Extension(ExtensionType.FORWARD_TRANSIT_NHS, True, us)
    hears(made, replace(purge(), extensions=(record, authentication("secret"))), OTHER_NBMA, HUB_NBMA)
    error = PacketType.ERROR_INDICATION
    assert [(packet.type, packet.error_code) for *_, packet in made.sent] == [(error, 15), (error, 3)]
    assert made.agents[SPOKE_NBMA].shortcuts(TUNNEL) != []


def test_a_router_that_leaves_takes_its_answers_back_without_asking_for_a_reply() -> None:
    made = met()
    leaving = made.agents[OTHER_NBMA]
    made.carry_out(OTHER_NBMA, leaving.leave(made.now))
    assert made.kinds()[:2] == [(B, H, REQUEST), (H, A, REQUEST)]
    assert made.sent[0][2].flags == 0x8000
    assert GONE in made.done[SPOKE_NBMA]
    assert packets(leaving.tick(100.0)) == []


def test_a_router_without_an_address_has_nobody_to_send_by_and_sends_nothing() -> None:
    made = met()
    spoke: Agent = made.agents[OTHER_NBMA]
    spoke.source_changed(TUNNEL, None, 2.0)
    del made.routes[OTHER_NBMA]["lan"]
    looks(made)
    assert made.sent == []


def test_the_prefixes_that_are_remembered_are_bounded() -> None:
    tunnel = Tunnel(spoke_config(), Cache(), nbma=SPOKE_NBMA)
    made = Behind(Purger(random.Random(1), RequestIds(7)))
    asker = Asker(tunnel, HUB_NBMA, 300.0)
    for number in range(behind.LIMIT + 10):
        prefix = IPv4Network((int(FAR) + (number << 8) & 0xFFFFFF00, 24))
        made.answered(Told(tunnel, prefix, FAR), OTHER, asker, 1.0)
    assert len(made.to_look_at()) == behind.LIMIT


def test_the_stations_that_are_remembered_are_bounded_and_old_ones_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(askers, "TOTAL_LIMIT", 4)
    tunnel = Tunnel(spoke_config(), Cache())
    made: Askers[str] = Askers()
    stations = [IPv4Address(number) for number in range(6)]
    for number, station in enumerate(stations):
        made.note(f"answer {number // 2}", station, Asker(tunnel, HUB_NBMA, 10.0 * (number + 1)), 0.0)
    assert made.take("answer 2", 0.0) == []
    made.note("answer 3", stations[5], Asker(tunnel, HUB_NBMA, 90.0), 25.0)  # two are over
    assert [station for station, _ in made.take("answer 3", 26.0)] == [stations[5]]
    assert [station for station, _ in made.take("answer 1", 26.0)] == stations[2:4]
    assert made.take("answer 0", 26.0) == []


def test_an_answer_that_a_purge_overtook_is_not_believed_and_the_question_is_asked_anew() -> None:
    made = cloud("192.168.0.0/16")
    asker = made.agents.pop(SPOKE_NBMA)  # the answer is on its way to it
    forward(made)
    told = made.sent[0][2]
    made.agents[SPOKE_NBMA] = asker
    hub = made.agents.pop(HUB_NBMA)
    hears(made, told, HUB_NBMA)
    question = made.sent[-1][2]
    made.forget()
    hears(made, purge(), HUB_NBMA)
    again = made.sent[0][2]
    assert (again.type, again.destination_protocol) == (PacketType.RESOLUTION_REQUEST, FAR)
    assert again.request_id != question.request_id
    lan = Cie(prefix_length=24, holding_time_s=300, nbma=OTHER_NBMA, protocol=OTHER)
    late = replace(question, type=PacketType.RESOLUTION_REPLY, cies=(lan,))
    hears(made, late, HUB_NBMA)
    assert made.agents[SPOKE_NBMA].shortcuts(TUNNEL) == []
    made.agents[HUB_NBMA] = hub
    hears(made, replace(late, request_id=again.request_id), HUB_NBMA)
    assert made.agents[SPOKE_NBMA].shortcuts(TUNNEL) != []


def test_a_strangers_purge_makes_nobody_ask_anew() -> None:
    made = cloud("192.168.0.0/16")
    other = made.agents.pop(OTHER_NBMA)  # who would answer
    forward(made)
    made.agents[OTHER_NBMA] = other
    made.forget()
    hears(made, purge(), STRANGER)
    assert [kind for *_, kind in made.kinds()] == [REPLY]


def test_a_router_with_a_new_address_takes_back_what_it_said_with_the_old_one() -> None:
    made = met()
    spoke = made.agents[OTHER_NBMA]
    sent = packets(spoke.source_changed(TUNNEL, IPv4Address("172.16.2.9"), 2.0))
    assert [packet.type for packet in sent] == [REQUEST, PacketType.REGISTRATION_REQUEST]
    assert sent[0].source_nbma == IPv4Address("172.16.2.9")
    assert packets(spoke.source_changed(TUNNEL, IPv4Address("172.16.2.8"), 3.0))[0].type != REQUEST
