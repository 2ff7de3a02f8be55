"""Two routers that may both begin: who does, which pair stays, and when packets go directly."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from dmvpn_lab.ipsec.actions import Ask, Count, PeerSecured
from dmvpn_lab.ipsec.protector import DEFER_S, SETTLE_LIMIT_S, SETTLE_S, Protector
from dmvpn_lab.ipsec.sa import ChildSa
from dmvpn_lab.ipsec.twins import BOTH_S
from tests.unit.ipsec.builders import CHILD, HUB, SPOKE, commands, config, spoke, told

OURS = replace(CHILD, identity="spoke-b.lab.test", ike_id="7", initiated=True)
THEIRS = replace(OURS, number=2, spi_in=0xD1, spi_out=0xD2, ike_id="9", initiated=False)


@pytest.mark.parametrize("order", [(OURS, THEIRS), (THEIRS, OURS)])
@pytest.mark.parametrize(("identity", "ended"), [("spoke-a.lab.test", []), ("spoke-c.lab.test", ["7"])])
def test_of_two_pairs_that_both_ends_began_at_once_one_stays(
    order: tuple[ChildSa, ChildSa], identity: str, ended: list[str]
) -> None:
    """The one that the first identity began; whoever began the other ends it."""
    made = Protector(config(identity=identity))
    made.peers_changed(frozenset({HUB}), 0.0)
    made.source_changed(SPOKE, 0.0)
    made.connected((), frozenset(), 0.0)
    assert commands(made.child_up(order[0], 1.0)) == []
    assert commands(made.child_up(order[1], 1.1)) == [], "the other end may not have both yet"
    made.tick(1.0 + BOTH_S)
    actions = made.tick(1.1 + BOTH_S)
    ends = [a.message["ike-id"] for a in actions if isinstance(a, Ask) and a.command == "terminate"]
    assert ends == ended
    assert commands(made.tick(1.2 + BOTH_S)) == [], "it is ended once"


def test_of_two_pairs_of_which_one_has_ended_meanwhile_the_other_stays() -> None:
    made = Protector(config(identity="spoke-c.lab.test"))
    made.peers_changed(frozenset({HUB}), 0.0)
    made.source_changed(SPOKE, 0.0)
    made.connected((), frozenset(), 0.0)
    made.child_up(OURS, 1.0)
    made.child_up(THEIRS, 1.1)
    made.child_down(THEIRS.number, 1.2)
    assert commands(made.tick(1.1 + BOTH_S)) == []


def test_two_pairs_that_one_end_began_are_left_alone() -> None:
    made = spoke()
    made.child_up(replace(CHILD, ike_id="7", initiated=True), 1.0)
    again = made.child_up(replace(CHILD, number=2, ike_id="8", initiated=True), 1.1)
    assert commands(again) == []


LOW, HIGH = IPv4Address("172.16.0.9"), IPv4Address("172.16.9.9")


def meets(other: IPv4Address) -> Protector:
    """A spoke whose binding of another spoke was resolved."""
    made = spoke()
    made.peers_changed(frozenset({HUB, other}), 1.0, frozenset({other}))
    return made


def test_of_two_spokes_that_meet_the_one_with_the_lower_address_begins() -> None:
    made = spoke()
    both = frozenset({HUB, HIGH})
    assert commands(made.peers_changed(both, 1.0, frozenset({HIGH}))) == ["load-conn", "initiate"]


def test_charon_ends_no_pair_of_two_that_may_both_begin() -> None:
    """Of those with a server it ends what a charon that was killed has left there."""
    made = Protector(config())
    made.peers_changed(frozenset({HUB, LOW, HIGH}), 0.0, frozenset({LOW, HIGH}))
    made.source_changed(SPOKE, 0.0)
    loads = [a.message for a in made.connected((), frozenset(), 0.0)
             if isinstance(a, Ask) and a.command == "load-conn"]  # fmt: skip
    assert {name: message["unique"] for load in loads for name, message in load.items()} == {
        f"peer-{HUB}": "replace",
        f"peer-{LOW}": "never",
        f"peer-{HIGH}": "never",
    }


def test_the_other_waits_and_begins_when_nobody_comes() -> None:
    made = spoke()
    assert commands(made.peers_changed(frozenset({HUB, LOW}), 1.0, frozenset({LOW}))) == ["load-conn"]
    assert made.deadline() == 1.0 + DEFER_S
    assert commands(made.tick(1.0 + DEFER_S)) == ["initiate"]


def test_it_begins_nothing_when_the_first_came_and_sends_directly_once_that_one_is_ready() -> None:
    made = meets(LOW)
    pair = replace(CHILD, peer=LOW, identity="spoke-b.lab.test")
    assert told(made.child_up(pair, 1.2)) == ["ipsec-up"]
    assert made.secured() == []
    assert made.deadline() == 1.2 + SETTLE_S
    assert made.tick(1.2 + SETTLE_S) == [Count(frozenset({LOW}))]
    assert made.counted({LOW: 1}, 1.7) == [PeerSecured(SPOKE, LOW, "spoke-b.lab.test")]
    assert made.tick(9.0) == []


def test_a_peer_that_sends_nothing_is_looked_at_again_and_taken_for_ready_at_the_limit() -> None:
    made = meets(LOW)
    made.child_up(replace(CHILD, peer=LOW, identity="spoke-b.lab.test"), 1.0)
    now = 1.0 + SETTLE_S
    while now < 1.0 + SETTLE_LIMIT_S:
        assert made.tick(now) == [Count(frozenset({LOW}))]
        assert made.counted({LOW: 0}, now) == []
        now += SETTLE_S
    made.tick(now)
    assert made.counted({LOW: 0}, now) == [PeerSecured(SPOKE, LOW, "spoke-b.lab.test")]
    assert made.tick(now + SETTLE_LIMIT_S) == []


def test_who_began_may_send_directly_at_once() -> None:
    pair = replace(CHILD, peer=HIGH, identity="spoke-b.lab.test", initiated=True)
    assert PeerSecured(SPOKE, HIGH, "spoke-b.lab.test", fresh=True) in meets(HIGH).child_up(pair, 1.2)


def test_a_pair_that_is_lost_before_it_is_used_is_told_to_nobody() -> None:
    made = meets(LOW)
    made.child_up(replace(CHILD, peer=LOW), 1.2)
    assert "initiate" not in commands(made.child_down(1, 1.3))  # the other begins again, too
    assert not any(isinstance(a, Count) for a in made.tick(2.4))
