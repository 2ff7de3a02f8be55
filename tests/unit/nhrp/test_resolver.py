"""The asking half: probe, question, answer, renewal, end."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import pytest

from dmvpn_lab.nhrp.actions import InstallNeighbour, RemoveNeighbour, SendPacket
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import encode
from dmvpn_lab.nhrp.saved import Saved
from tests.unit.nhrp.builders import agent, deliver, purge, request, spoke_config
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.resolving import DIRECT, VIA_HUB, answer, asked, spoke, told
from tests.unit.nhrp.seen import bindings, events, facts, neighbours, packets, reply


def test_a_missing_neighbour_goes_to_the_server_which_is_asked_for_it() -> None:
    done = spoke().probed(TUNNEL, OTHER, 1.0)
    assert done[0] == VIA_HUB
    assert isinstance(done[1], SendPacket)
    assert done[1].nbma == HUB_NBMA
    question = reply(done)
    assert question.type == PacketType.RESOLUTION_REQUEST
    assert (question.source_nbma, question.source_protocol) == (SPOKE_NBMA, SPOKE)
    assert (question.destination_protocol, question.flags) == (OTHER, 0xC800)
    assert [e.type for e in question.extensions or ()] == [3, 4, 5, 9]
    assert facts(done, "resolution-sent")["nhs"] == str(HUB)


def test_the_answer_is_the_neighbour_for_its_holding_time() -> None:
    made = spoke()
    done = told(made, holding=100)
    assert done[0] == DIRECT
    assert facts(done, "resolved") | {"asked_s_ago": 0.0} == {
        "interface": TUNNEL, "protocol": str(OTHER), "nbma": str(OTHER_NBMA), "holding_time_s": 100,
        "previous_nbma": None, "asked_s_ago": 0.0,
    }  # fmt: skip
    (entry,) = [e for e in made.nhrp(1.0) if e["protocol"] == str(OTHER)]
    assert (entry["flags"], entry["expires_in_s"]) == (["resolved"], 100.0)
    assert made.multicast() == [] or str(OTHER_NBMA) not in {m["nbma"] for m in made.multicast()}
    made.tick(68.0)
    gone = made.tick(101.0)
    assert gone[0] == RemoveNeighbour(TUNNEL, OTHER)
    assert facts(gone, "resolution-ended")["reason"] == "expired"


def test_probes_while_the_question_is_open_ask_nobody_again() -> None:
    made = spoke()
    asked(made)
    assert made.probed(TUNNEL, OTHER, 1.1) == [VIA_HUB]


def test_a_probe_of_a_known_neighbour_confirms_it() -> None:
    made = spoke()
    told(made)
    assert made.probed(TUNNEL, OTHER, 6.0) == [DIRECT]
    assert made.probed(TUNNEL, HUB, 6.0) == [InstallNeighbour(TUNNEL, HUB, HUB_NBMA)]


@pytest.mark.parametrize("wanted", ["10.0.0.11", "10.0.0.0", "10.0.0.255", "10.0.1.1", "224.0.0.5"])
def test_own_special_and_foreign_addresses_are_not_asked_for(wanted: str) -> None:
    assert spoke().probed(TUNNEL, IPv4Address(wanted), 1.0) == []


def test_a_router_without_phase_2_or_without_source_asks_nobody() -> None:
    made = agent(spoke_config())
    made.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert made.probed(TUNNEL, OTHER, 1.0) == []
    assert agent(spoke_config(resolve=True)).probed(TUNNEL, OTHER, 1.0) == []


def test_it_is_asked_again_while_it_is_used() -> None:
    made = spoke()
    told(made, holding=300)
    made.probed(TUNNEL, OTHER, 230.0)
    done = made.tick(241.0)
    assert neighbours(done) == []  # the present one stays
    again = reply(done)
    assert again.destination_protocol == OTHER
    deliver(made, answer(again, holding=300), HUB_NBMA, 241.5)
    made.tick(301.5)
    assert bindings(made)[str(OTHER)] == str(OTHER_NBMA)


def test_it_is_not_asked_again_when_it_is_idle() -> None:
    made = spoke()
    told(made, holding=300)
    made.probed(TUNNEL, OTHER, 100.0)
    assert packets(made.tick(241.0)) == []
    assert made.tick(301.0)[0] == RemoveNeighbour(TUNNEL, OTHER)
    assert made.deadline() == 10.0**9


def test_an_unanswered_question_is_sent_again_under_its_id_and_then_given_up_for_a_while() -> None:
    made = spoke()
    first = asked(made)
    said: list[str] = []
    sent = []
    while (now := made.deadline() or 0.0) < 60:
        done = made.tick(now)
        sent += packets(done)
        said += events(done)
        if isinstance(done[0], RemoveNeighbour):
            break
    assert [p.request_id for p in sent] == [first.request_id] * 3
    assert said == ["resolution-sent"] * 3 + ["resolution-timeout"]
    assert 28 < now < 42
    assert made.probed(TUNNEL, OTHER, now)[0] == VIA_HUB


@pytest.mark.parametrize(
    "changes",
    [{"code": 12, "nbma": None, "holding": 0}, {"nbma": None}, {"holding": 0}, {"nbma": SPOKE_NBMA}],
)
def test_after_a_no_packets_go_to_the_server_and_it_is_asked_later(changes: dict[str, Any]) -> None:
    made = spoke()
    done = told(made, **changes)
    assert events(done) == ["resolution-refused"]
    assert str(OTHER) not in bindings(made)
    assert made.probed(TUNNEL, OTHER, 5.0) == [VIA_HUB]
    assert made.tick(21.0) == [RemoveNeighbour(TUNNEL, OTHER)]
    assert reply(made.probed(TUNNEL, OTHER, 21.1)).type == PacketType.RESOLUTION_REQUEST


def test_a_reply_counts_only_from_whom_was_asked_or_the_peer_with_the_ids_and_addresses_asked() -> None:
    made = spoke()
    question = asked(made)
    stranger = IPv4Address("192.0.2.66")
    for wrong, outer in (
        (answer(question), stranger),
        (answer(replace(question, request_id=question.request_id + 1)), HUB_NBMA),
        (answer(replace(question, destination_protocol=HUB)), HUB_NBMA),
        (answer(replace(question, source_protocol=OTHER)), HUB_NBMA),
        (replace(answer(question), cies=()), HUB_NBMA),
    ):
        assert deliver(made, wrong, outer) == []
    assert made.counters()[TUNNEL]["unknown-reply"] == 5
    assert str(OTHER) not in bindings(made)
    assert events(deliver(made, answer(question), OTHER_NBMA)) == ["resolved"]
    assert deliver(made, answer(question), HUB_NBMA) == []


def test_what_registered_meanwhile_is_not_displaced_by_an_answer() -> None:
    made = spoke()
    question = asked(made)
    deliver(made, request(OTHER, OTHER_NBMA, destination_protocol=SPOKE), OTHER_NBMA, 1.5)
    assert deliver(made, answer(question, nbma=IPv4Address("172.16.9.9")), HUB_NBMA, 2.0) == []
    assert bindings(made)[str(OTHER)] == str(OTHER_NBMA)


def test_a_registration_displaces_what_was_resolved_and_then_gets_multicast() -> None:
    made = spoke(map_multicast_dynamic=True)
    told(made)
    done = deliver(made, request(OTHER, OTHER_NBMA, destination_protocol=SPOKE), OTHER_NBMA, 2.0)
    assert "multicast-changed" in events(done)


def test_a_purge_of_the_server_or_the_peer_ends_it_and_nobody_elses() -> None:
    third, stranger = IPv4Address("10.0.0.13"), IPv4Address("192.0.2.66")
    for outer, source, ends in ((HUB_NBMA, HUB, True), (HUB_NBMA, OTHER, True), (OTHER_NBMA, OTHER, True),
                                (HUB_NBMA, third, False), (stranger, HUB, False)):  # fmt: skip
        made = spoke()
        told(made)
        request = replace(purge(OTHER), source_protocol=source, destination_protocol=SPOKE)
        done = deliver(made, request, outer, 2.0)
        assert (RemoveNeighbour(TUNNEL, OTHER) in done) is ends
        assert (str(OTHER) in bindings(made)) is not ends


def test_clear_forgets_answers_and_questions_but_no_server() -> None:
    made = spoke()
    told(made)
    third = IPv4Address("10.0.0.13")
    made.probed(TUNNEL, third, 2.0)
    done = made.clear(3.0)
    assert [a for a in done if isinstance(a, RemoveNeighbour)] == [
        RemoveNeighbour(TUNNEL, OTHER), RemoveNeighbour(TUNNEL, third),
    ]  # fmt: skip
    assert set(bindings(made)) == {str(HUB)}
    assert made._resolver.deadline() is None


def test_what_was_resolved_is_taken_over_by_the_next_agent_and_kept_while_used() -> None:
    saved = Binding(TUNNEL, OTHER, OTHER_NBMA, 1.0, holding_time_s=300, expires=301.0, resolved=True)
    made = agent(spoke_config(resolve=True))
    made.restore(Saved(None, (saved,)), 100.0)
    assert made.neighbours(TUNNEL) == [DIRECT]
    made.source_changed(TUNNEL, SPOKE_NBMA, 100.0)
    assert made.probed(TUNNEL, OTHER, 200.0) == [DIRECT]
    again = [p for p in packets(made.tick(241.0)) if p.type == PacketType.RESOLUTION_REQUEST]
    assert [p.destination_protocol for p in again] == [OTHER]
    without = agent(spoke_config())
    without.restore(Saved(None, (saved,)), 100.0)
    assert without.neighbours(TUNNEL) == []


def test_a_spoke_does_not_pass_on_what_it_was_told_itself() -> None:
    made = spoke()
    told(made)
    question = replace(request(HUB, HUB_NBMA), type=PacketType.RESOLUTION_REQUEST, destination_protocol=OTHER)
    assert reply(deliver(made, question, HUB_NBMA)).cies[0].code == 12


def test_questions_are_bounded_and_packets_of_more_go_to_the_server() -> None:
    made = agent(spoke_config(resolve=True, address=IPv4Interface("10.0.0.11/16")))
    made.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    asked_for = 0
    for n in range(1500):
        done = made.probed(TUNNEL, IPv4Address(int(IPv4Address("10.0.8.0")) + n), 1.0)
        assert isinstance(done[0], InstallNeighbour)
        asked_for += len(packets(done))
    assert asked_for == 1024


def test_a_second_server_is_asked_when_the_first_is_silent() -> None:
    second, second_nbma = IPv4Address("10.0.0.2"), IPv4Address("172.17.2.1")
    config = spoke_config(
        resolve=True, nhs=(HUB, second), static_maps=((HUB, HUB_NBMA), (second, second_nbma))
    )
    made = agent(config)
    made.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    done = made.probed(TUNNEL, OTHER, 0.1)
    to = [a.nbma for a in done if isinstance(a, SendPacket)]
    for now in (1.5, 4.0):
        done = made.tick(now)
        to += [a.nbma for a in done if isinstance(a, SendPacket) and encode(reply([a]))[17] == 1]
    assert to == [HUB_NBMA, second_nbma, HUB_NBMA]
