"""NHRP on protected tunnels: registration waits for IPsec, and may be bound to the IKE identity."""

from __future__ import annotations

from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, Protect
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.tunnel import HOLD_S
from tests.unit.nhrp.builders import agent, carry_out, hub_config, request, spoke_config
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, events, facts, packets, reply

OWNERS = {SPOKE: "spoke-a.lab.test", OTHER: "spoke-b.lab.test"}


def spoke() -> Agent:
    made = agent(spoke_config(protected=True))
    made.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    return made


def hub() -> Agent:
    made = agent(hub_config(protected=True, owners=OWNERS))
    made.source_changed(TUNNEL, HUB_NBMA, 0.0)
    return made


def arrive(made: Agent, packet: Packet, now: float) -> list[Action]:
    return carry_out(made, made.receive(TUNNEL, encode(packet), SPOKE_NBMA, now), now)


def test_a_protected_tunnel_asks_for_its_servers_sa_and_registers_nowhere_yet() -> None:
    made = agent(spoke_config(protected=True))
    actions = made.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert Protect(TUNNEL, frozenset({HUB_NBMA})) in actions
    assert packets(actions) == []
    assert made.nhs(1.0)[0]["state"] == "waiting"
    assert made.nhs(1.0)[0]["last_error"] == "no IPsec SA with 172.17.0.1"
    assert made.deadline() is None


def test_the_end_of_phase_2_triggers_the_registration() -> None:
    actions = spoke().secured(SPOKE_NBMA, HUB_NBMA, "hub", 5.0)
    assert len(packets(actions)) == 1
    assert facts(actions, "registration-sent")["trigger"] == "ipsec-up"


def registered_spoke() -> Agent:
    """At 5 s."""
    made = spoke()
    sent = facts(made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 5.0, fresh=True), "registration-sent")
    answer = request(request_id=sent["request_id"], type=PacketType.REGISTRATION_REPLY)
    made.receive(TUNNEL, encode(answer), HUB_NBMA, 5.0)
    assert made.nhs(5.0)[0]["state"] == "registered"
    return made


def test_a_new_phase_2_with_a_server_that_was_never_lost_renews_the_registration_at_once() -> None:
    made = registered_spoke()
    actions = made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 9.0, fresh=True)
    assert len(packets(actions)) == 1
    assert facts(actions, "registration-sent")["trigger"] == "ipsec-up"
    assert made.nhs(9.0)[0]["state"] == "registered"  # it is valid all the while


def test_a_new_phase_2_sends_a_request_that_waits_for_its_answer_anew_and_without_delay() -> None:
    made = spoke()
    made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 5.0, fresh=True)
    for _ in range(4):
        made.tick(made.deadline() or 0.0)
    actions = made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 30.0, fresh=True)
    assert len(packets(actions)) == 1
    assert (made.deadline() or 0.0) < 31.5  # and the next one, if need be, in a second and not in 32


def test_an_sa_that_was_known_before_triggers_nothing_again() -> None:
    made = registered_spoke()
    assert made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 9.0) == []
    assert made.nhs(9.0)[0]["state"] == "registered"


def test_an_sa_from_another_address_or_with_another_peer_triggers_nothing() -> None:
    made = spoke()
    assert made.secured(HUB_NBMA, HUB_NBMA, "hub", 5.0) == []
    assert made.secured(SPOKE_NBMA, SPOKE_NBMA, "x", 5.0) == []


def test_a_lost_sa_stops_retransmissions_until_the_next_one() -> None:
    made = spoke()
    made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 5.0)
    assert made.deadline() is not None
    made.unsecured(SPOKE_NBMA, HUB_NBMA)
    assert made.deadline() is None
    assert len(packets(made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 9.0))) == 1


def test_a_new_source_address_waits_for_its_own_sa() -> None:
    made = spoke()
    made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 5.0)
    moved = SPOKE_NBMA + 5
    assert packets(made.source_changed(TUNNEL, moved, 6.0)) == []
    assert len(packets(made.secured(moved, HUB_NBMA, "hub", 6.2))) == 1


def test_the_owner_of_an_address_registers_it() -> None:
    made = hub()
    made.secured(HUB_NBMA, SPOKE_NBMA, "spoke-a.lab.test", 0.5)
    arrive(made, request(), 1.0)
    assert bindings(made) == {"10.0.0.11": "172.16.1.1"}


def test_an_address_that_is_anothers_is_refused_counted_and_told() -> None:
    made = hub()
    made.secured(HUB_NBMA, SPOKE_NBMA, "spoke-a.lab.test", 0.5)
    actions = arrive(made, request(OTHER), 1.0)
    assert reply(actions).cies[0].code == 4
    assert reply(actions).cies[0].holding_time_s == 0
    told = facts(actions, "peer-refused")
    assert (told["protocol"], told["identity"], told["code"]) == ("10.0.0.12", "spoke-a.lab.test", 4)
    assert made.counters()[TUNNEL]["identity-mismatch"] == 1
    assert bindings(made) == {}


def test_an_address_that_nobody_owns_is_refused() -> None:
    made = hub()
    made.secured(HUB_NBMA, SPOKE_NBMA, "spoke-a.lab.test", 0.5)
    assert reply(arrive(made, request(HUB + 76), 1.0)).cies[0].code == 4


def test_a_registration_that_comes_before_the_word_of_its_sa_is_held_and_then_answered() -> None:
    made = hub()
    assert arrive(made, request(), 1.0) == []
    actions = made.secured(HUB_NBMA, SPOKE_NBMA, "spoke-a.lab.test", 1.1)
    assert any(isinstance(action, InstallNeighbour) for action in actions)
    assert "peer-registered" in events(carry_out(made, actions, 1.1))


def test_a_held_registration_is_judged_by_the_identity_that_comes() -> None:
    made = hub()
    arrive(made, request(OTHER), 1.0)
    actions = made.secured(HUB_NBMA, SPOKE_NBMA, "spoke-a.lab.test", 1.1)
    assert reply(actions).cies[0].code == 4


def test_a_registration_is_not_held_for_ever() -> None:
    made = hub()
    arrive(made, request(), 1.0)
    assert made.secured(HUB_NBMA, SPOKE_NBMA, "spoke-a.lab.test", 1.0 + HOLD_S) == []
    made.unsecured(HUB_NBMA, SPOKE_NBMA)
    for number in range(600):
        arrive(made, request(request_id=number), 10.0 + number / 1000)
    assert len(made.tunnels[TUNNEL].held) <= 256


def test_a_bare_tunnel_asks_for_no_sa_and_no_identity() -> None:
    made = agent(spoke_config())
    actions = made.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert not any(isinstance(action, Protect) for action in actions)
    assert len(packets(actions)) == 1
