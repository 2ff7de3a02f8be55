"""The core of tunnel protection: what it asks of charon, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmvpn_lab.ipsec.actions import Ask, Count, DeleteStates, PeerLost, PeerSecured, StateId, Tell
from dmvpn_lab.ipsec.linger import LINGER_S
from dmvpn_lab.ipsec.protector import (
    CALL_BACK_S,
    COME_S,
    CONFLICT_S,
    PATIENCE_S,
    REAP_S,
    RETRY_S,
    SUSPICION_S,
    Protector,
)
from tests.unit.ipsec.builders import CHILD, HUB, MOVED, SPOKE, coming, commands, config, hub, spoke, told


def test_nothing_is_asked_before_charon_answers_and_the_address_is_there() -> None:
    made = Protector(config())
    assert made.peers_changed(frozenset({HUB}), 0.0) == []
    assert commands(made.connected((), frozenset(), 0.0)) == ["load-shared"]
    assert commands(made.source_changed(SPOKE, 1.0)) == ["terminate", "load-conn", "initiate"]


def test_a_connection_derives_its_ends_from_tunnel_and_cache() -> None:
    made = Protector(config())
    made.peers_changed(frozenset({HUB}), 0.0)
    made.source_changed(SPOKE, 0.0)
    load = next(a for a in made.connected((), frozenset(), 0.0) if isinstance(a, Ask) and "conn" in a.command)
    (conn,) = load.message.values()
    assert (conn["local_addrs"], conn["remote_addrs"]) == (["172.16.1.1"], ["172.17.0.1"])
    assert (conn["local"]["id"], conn["remote"]["id"]) == ("spoke-a.lab.test", "hub.lab.test")
    assert conn["children"]["gre"]["mode"] == "transport"
    assert conn["children"]["gre"]["remote_ts"] == ["dynamic[gre]"]


def test_a_hub_answers_anybody_and_initiates_nothing() -> None:
    made = Protector(config(responds=True, peers={}))
    made.source_changed(HUB, 0.0)
    asked = [a for a in made.connected((), frozenset(), 0.0) if isinstance(a, Ask)]
    assert [a.command for a in asked] == ["load-shared", "load-conn"]
    assert asked[1].message["anybody"]["remote_addrs"] == ["%any"]


def test_the_end_of_phase_2_is_told_before_the_peer_is_secured() -> None:
    up, secured = spoke().child_up(CHILD, 1.0)
    assert isinstance(up, Tell)
    assert up.name == "ipsec-up"
    assert secured == PeerSecured(SPOKE, HUB, "hub.lab.test", fresh=True)


def test_a_phase_2_that_finishes_anew_is_told_although_the_peer_was_never_lost() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    made.disconnected()  # charon was killed; its states carry traffic
    made.connected((), frozenset(), 2.0)
    again = made.child_up(replace(CHILD, spi_in=0xD1, spi_out=0xD2), 2.5)
    assert PeerSecured(SPOKE, HUB, "hub.lab.test", fresh=True) in again


def test_an_sa_that_charon_has_still_when_the_agent_reaches_it_again_is_not_news() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    made.disconnected()
    actions = made.connected((CHILD,), frozenset(), 2.0)
    assert not any(isinstance(each, PeerSecured) for each in actions)


def test_the_end_of_one_of_two_pairs_is_nobodys_loss_and_no_news() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    made.child_up(replace(CHILD, number=2, spi_in=0xD1, spi_out=0xD2), 1.1)
    assert not any(isinstance(a, PeerLost) for a in made.child_down(1, 2.0))


def test_the_loss_of_the_last_pair_is_told_and_initiated_at_once() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    lost = made.child_down(1, 5.0)
    assert lost[0] == PeerLost(SPOKE, HUB)
    assert commands(lost) == ["initiate"]


def test_a_hub_that_loses_a_spoke_waits_for_it() -> None:
    made = hub()
    made.child_up(coming(1, SPOKE, "a"), 1.0)
    lost = made.child_down(1, 2.0)
    assert PeerLost(HUB, SPOKE) in lost
    assert commands(lost) == []


def test_new_keys_leave_no_gap_and_lose_nobody() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    new = replace(CHILD, number=2, spi_in=0xD1, spi_out=0xD2)
    assert told(made.rekeyed(1, new)) == ["ipsec-rekeyed"]
    assert made.child_down(1, 6.0) == []
    made.states_deleted(frozenset({0xC1}), 6.0)
    assert made.deadline() is None


def test_a_new_source_address_forgets_the_old_sa_and_initiates_from_the_new() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    actions = made.source_changed(MOVED, 2.0)
    assert commands(actions) == ["terminate", "load-conn", "initiate"]
    assert isinstance(actions[0], Ask)
    assert actions[0].message["force"] == "yes"
    assert made.child_down(1, 2.1) == []  # of the old address: nobody's loss
    assert made.secured() == []


def test_without_an_address_nothing_is_initiated() -> None:
    made = spoke()
    assert commands(made.source_changed(None, 2.0)) == ["terminate"]
    assert made.deadline() is None or commands(made.tick(made.deadline() or 0.0)) == []


def test_a_negotiation_that_fails_is_tried_again_later_and_later() -> None:
    made = spoke()
    now = 1.0
    for failures, delay in enumerate(RETRY_S, 1):
        actions = made.ike_down(f"ike-{failures}", "peer-172.17.0.1", now)
        assert [a.facts["failures"] for a in actions if isinstance(a, Tell)] == [failures]
        assert made.deadline() == pytest.approx(now + delay)
        now += delay
        assert commands(made.tick(now)) == ["initiate"]


def test_the_end_of_an_ike_sa_that_was_up_is_no_failed_negotiation() -> None:
    made = spoke()
    made.ike_up("7")
    assert made.ike_down("7", "peer-172.17.0.1", 1.0) == []


def test_a_negotiation_that_says_nothing_is_asked_for_again() -> None:
    made = spoke()
    assert made.deadline() == PATIENCE_S
    assert commands(made.tick(PATIENCE_S)) == ["initiate"]


def test_a_secured_peer_leaves_no_timer() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    assert made.deadline() is None


def test_a_state_that_somebody_took_from_the_kernel_ends_its_pair_after_a_moment() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    made.states_deleted(frozenset({0xC1}), 2.0)
    assert made.tick(2.0) == []
    (ask,) = made.tick(2.0 + SUSPICION_S)
    assert isinstance(ask, Ask)
    assert (ask.command, ask.message["child-id"]) == ("terminate", "1")


def test_a_state_that_charon_deleted_itself_is_not_suspected() -> None:
    made = spoke()
    made.child_up(CHILD, 1.0)
    made.states_deleted(frozenset({0xC1, 0xC2}), 2.0)
    made.child_down(1, 2.01)
    assert "terminate" not in commands(made.tick(3.0))


def test_a_flush_suspects_every_pair() -> None:
    made = hub()
    made.child_up(coming(1, SPOKE, "a"), 1.0)
    made.child_up(coming(2, MOVED, "b"), 1.0)
    made.states_deleted(None, 2.0)
    assert commands(made.tick(2.0 + SUSPICION_S)) == ["terminate", "terminate"]


def test_states_of_an_earlier_charon_go_when_their_peer_is_secured_anew() -> None:
    made = Protector(config())
    made.peers_changed(frozenset({HUB}), 0.0)
    made.source_changed(SPOKE, 0.0)
    old = StateId(HUB, SPOKE, 0xAA)
    made.connected((), frozenset({old}), 0.0)
    assert DeleteStates(frozenset({old})) in made.child_up(CHILD, 1.0)
    assert made.deadline() is None


def test_states_of_an_earlier_charon_whose_peer_does_not_come_back_go_after_a_while() -> None:
    made = hub()
    made.child_up(coming(1, SPOKE, "a"), 1.0)
    made.disconnected()
    old = StateId(SPOKE, HUB, 0x10)
    made.connected((), frozenset({old}), 5.0)
    assert [each.peer for each in made.secured()] == [SPOKE]  # they still carry traffic
    actions = made.tick(5.0 + REAP_S)
    assert DeleteStates(frozenset({old})) in actions
    assert PeerLost(HUB, SPOKE) in actions


def test_a_charon_that_starts_again_calls_back_who_was_there_and_who_left_and_does_not_come() -> None:
    made = hub()
    made.child_up(coming(1, SPOKE, "a"), 1.0)
    made.child_up(coming(2, MOVED, "b"), 1.0)
    made.child_down(2, 90.0)
    made.disconnected()
    asked = [a for a in made.connected((), frozenset(), 91.0) if isinstance(a, Ask)]
    assert [a.command for a in asked] == ["load-shared", "load-conn", "load-conn", "initiate"]
    assert made.deadline() == 91.0 + COME_S
    assert commands(made.tick(91.0)) == []
    asked += [a for a in made.tick(91.0 + COME_S) if isinstance(a, Ask)]
    assert [a.command for a in asked[4:]] == ["load-conn", "initiate"]
    assert commands(made.tick(95.0)) == []
    called = {name: each["remote"]["id"] for a in asked if a.command == "load-conn"
              for name, each in a.message.items()}  # fmt: skip
    assert called == {"anybody": "%any", "peer-172.16.1.1": "a", "peer-172.16.1.77": "b"}


def test_a_peer_that_left_long_ago_is_not_called_back() -> None:
    made = hub()
    made.child_up(coming(2, MOVED, "b"), 1.0)
    made.child_down(2, 2.0)
    made.disconnected()
    assert "initiate" not in commands(made.connected((), frozenset(), 2.0 + CALL_BACK_S))
    assert commands(made.tick(2.0 + CALL_BACK_S + COME_S)) == []


def test_a_peer_that_left_and_comes_by_itself_is_not_called_back() -> None:
    made = hub()
    made.child_up(coming(2, MOVED, "b"), 1.0)
    made.child_down(2, 90.0)
    made.disconnected()
    made.connected((), frozenset(), 91.0)
    made.child_up(coming(3, MOVED, "b"), 91.5)
    assert commands(made.tick(91.0 + COME_S)) == []


def test_what_charon_has_when_the_agent_comes_is_taken_over() -> None:
    made = Protector(config())
    made.peers_changed(frozenset({HUB}), 0.0)
    made.source_changed(SPOKE, 0.0)
    states = frozenset({StateId(SPOKE, HUB, 0xC2), StateId(HUB, SPOKE, 0xC1)})
    actions = made.connected((CHILD,), states, 0.0)
    assert PeerSecured(SPOKE, HUB, "hub.lab.test") in actions
    assert commands(actions) == ["load-shared", "load-conn"]
    assert made.deadline() is None


def test_two_identities_that_stay_at_one_address_are_told() -> None:
    made = hub()
    made.child_up(coming(1, SPOKE, "a"), 1.0)
    made.child_up(coming(2, SPOKE, "b"), 1.5)
    (conflict,) = [a for a in made.tick(1.5 + CONFLICT_S) if isinstance(a, Tell)]
    assert (conflict.name, conflict.facts["identities"]) == ("ipsec-conflict", ["a", "b"])


def test_an_address_that_passes_from_one_spoke_to_another_is_no_conflict() -> None:
    made = hub()
    made.child_up(coming(1, SPOKE, "a"), 1.0)
    secured = made.child_up(coming(2, SPOKE, "b"), 1.5)
    assert PeerSecured(HUB, SPOKE, "b", fresh=True) in secured
    assert made.child_down(1, 1.6) == []
    assert made.tick(1.5 + CONFLICT_S) == []


def lingering(ike_id: str = "7") -> Protector:
    """A spoke with an SA that it began, and that it does not need any more since 2.0."""
    made = spoke()
    made.child_up(replace(CHILD, ike_id=ike_id, initiated=True), 1.0)
    assert commands(made.peers_changed(frozenset(), 2.0)) == ["unload-conn"]
    return made


def test_a_peer_that_is_not_needed_any_more_is_ended_with_a_word_to_it_once_it_is_silent() -> None:
    made = lingering()
    assert made.tick(2.0) == [Count(frozenset({HUB}))]
    assert made.counted({HUB: 40}, 5.0) == []
    assert made.deadline() == 2.0 + LINGER_S
    assert made.tick(2.0 + LINGER_S) == [Count(frozenset({HUB}))]
    (end,) = made.counted({HUB: 40}, 5.0)
    assert isinstance(end, Ask)
    assert (end.command, end.message["ike-id"]) == ("terminate", "7")
    assert "force" not in end.message
    assert made.deadline() is None
    assert "initiate" not in commands(made.child_down(1, 5.1))


def test_an_sa_in_which_the_peer_still_sends_lingers_on() -> None:
    made = lingering()
    now = 2.0
    for received in range(40, 50):
        assert made.tick(now) == [Count(frozenset({HUB}))]
        assert made.counted({HUB: received}, 5.0) == []
        now += LINGER_S
    assert made.deadline() == now


def test_a_peer_that_is_needed_again_while_its_sa_lingers_keeps_it() -> None:
    made = lingering()
    made.tick(2.0)
    made.counted({HUB: 40}, 5.0)
    assert commands(made.peers_changed(frozenset({HUB}), 3.0)) == ["load-conn"]
    assert made.deadline() is None
    assert made.tick(2.0 + LINGER_S) == []


def test_a_lingering_sa_that_the_peer_ends_itself_is_looked_at_no_more() -> None:
    made = lingering()
    made.child_down(1, 2.5)
    assert made.deadline() is None


def test_a_lingering_sa_is_forgotten_with_the_address_that_it_was_made_from() -> None:
    made = lingering()
    (end,) = made.source_changed(MOVED, 2.5)
    assert isinstance(end, Ask)
    assert end.message["ike"] == "peer-172.17.0.1"
    assert made.deadline() is None


def test_a_negotiation_with_a_peer_that_is_not_needed_any_more_is_given_up() -> None:
    end, _unload = spoke().peers_changed(frozenset(), 2.0)
    assert isinstance(end, Ask)
    assert end.message["ike"] == "peer-172.17.0.1"


def test_what_a_peer_began_itself_it_ends_itself() -> None:
    made = spoke()
    made.child_up(replace(CHILD, ike_id="7"), 1.0)
    assert commands(made.peers_changed(frozenset(), 2.0)) == ["unload-conn"]


def test_an_ike_sa_with_new_keys_is_ended_by_its_new_number() -> None:
    made = lingering()
    made.ike_rekeyed("7", "8")
    made.tick(2.0)
    made.counted({HUB: 40}, 5.0)
    (end,) = made.counted({HUB: 40}, 5.0)
    assert isinstance(end, Ask)
    assert end.message["ike-id"] == "8"
