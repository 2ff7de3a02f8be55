"""Whoever was told a binding hears when it moves or ends, once, until it says so or the time is over."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

from dmvpn_lab.nhrp import askers, purger
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet
from tests.unit.nhrp.builders import deliver, hub, purge, request
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import events, packets

NEW_NBMA = IPv4Address("172.16.1.9")


def asked(of: Agent, station: IPv4Address = OTHER, nbma: IPv4Address = OTHER_NBMA, now: float = 1.0) -> None:
    question = replace(request(station, nbma), type=PacketType.RESOLUTION_REQUEST, destination_protocol=SPOKE)
    deliver(of, question, nbma, now)


def moved(of: Agent, now: float = 10.0) -> list[Packet]:
    """The purges that a spoke's new address makes."""
    done = deliver(of, request(nbma=NEW_NBMA, request_id=6), NEW_NBMA, now)
    return [p for p in packets(done) if p.type == PacketType.PURGE_REQUEST]


def told() -> Agent:
    made = hub(authentication=None)
    deliver(made, request(), now=0.0)
    asked(made)
    return made


def test_a_binding_that_moves_is_purged_at_whom_it_was_told() -> None:
    (sent,) = moved(told())
    assert (sent.source_protocol, sent.source_nbma, sent.destination_protocol) == (HUB, HUB_NBMA, OTHER)
    assert (sent.cies[0].protocol, sent.cies[0].prefix_length) == (SPOKE, 32)
    assert not sent.flags & 0x8000


def test_a_renewal_purges_nothing() -> None:
    made = told()
    done = deliver(made, request(request_id=6), now=10.0)
    assert [p.type for p in packets(done)] == [PacketType.REGISTRATION_REPLY]


def test_one_that_runs_out_or_is_purged_by_its_owner_is_purged_too() -> None:
    expired = told()
    asked(expired, now=299.0)
    deliver(expired, request(request_id=6, cie=replace(request().cies[0], holding_time_s=10)), now=299.5)
    done = expired.tick(309.5)
    assert "purge-sent" not in events(done)  # the answer of 299 ran out before it did
    owner = told()
    done = deliver(owner, purge(), SPOKE_NBMA, 10.0)
    assert [p.type for p in packets(done)] == [PacketType.PURGE_REQUEST, PacketType.PURGE_REPLY]


def test_an_answer_that_has_run_out_needs_no_purge() -> None:
    made = told()
    deliver(made, request(request_id=6), now=290.0)
    assert moved(made, now=300.5) == []


def test_it_is_sent_again_until_the_reply_comes() -> None:
    made = told()
    (sent,) = moved(made)
    again = packets(made.tick(11.5))
    assert [p.request_id for p in again] == [sent.request_id]
    deliver(made, replace(sent, type=PacketType.PURGE_REPLY), OTHER_NBMA, 11.6)
    assert packets(made.tick(60.0)) == []
    assert "unknown-reply" not in made.counters()[TUNNEL]


def test_a_reply_of_somebody_else_does_not_count() -> None:
    made = told()
    (sent,) = moved(made)
    deliver(made, replace(sent, type=PacketType.PURGE_REPLY), SPOKE_NBMA, 11.0)
    assert made.counters()[TUNNEL]["unknown-reply"] == 1
    assert len(packets(made.tick(11.5))) == 1


def test_it_is_given_up_after_some_tries() -> None:
    made = told()
    moved(made)
    sent = 0
    for now in range(11, 200):
        sent += len(packets(made.tick(float(now))))
    assert sent == purger.TRIES - 1


def test_those_who_asked_are_bounded() -> None:
    made = hub(address=IPv4Interface("10.0.0.1/16"))
    deliver(made, request(), now=0.0)
    for n in range(askers.ASKERS_LIMIT + 50):
        asked(made, IPv4Address(int(IPv4Address("10.0.8.0")) + n), IPv4Address(int(OTHER_NBMA) + n))
    assert len(moved(made)) == askers.ASKERS_LIMIT
