"""A request of a known form goes the short way: the same answer as by the long one, and only where it may."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmvpn_lab.nhrp.actions import InstallNeighbour, Registered
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import CieCode
from dmvpn_lab.nhrp.form import Forms
from dmvpn_lab.nhrp.packet import Packet, decode, encode
from tests.unit.nhrp.builders import deliver, hub, purge, request
from tests.unit.nhrp.deck import BOUND, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, events, facts, neighbours, packets, reply

AGAIN = replace(request(), request_id=6)


def registered(packet: Packet | None = None, **changes: object) -> Agent:
    """A hub that has the spoke, at time 1."""
    at_hub = hub(**changes)
    deliver(at_hub, packet or request())
    return at_hub


def is_short(at_hub: Agent, packet: Packet, nbma: IPv4Address = SPOKE_NBMA, now: float = 100.0) -> bool:
    """Whether the kernel is not asked."""
    return not neighbours(at_hub.receive(TUNNEL, encode(packet), nbma, now))


def test_a_renewal_is_answered_as_by_the_long_way_and_asks_the_kernel_nothing() -> None:
    short, long = registered(), hub()
    done = deliver(short, AGAIN, now=100.0)
    assert not any(isinstance(action, InstallNeighbour) for action in done)
    assert encode(reply(done)) == encode(reply(deliver(long, AGAIN)))
    assert events(done) == ["peer-registered"]
    assert facts(done, "peer-registered")["previous_nbma"] == str(SPOKE_NBMA)
    (entry,) = short.nhrp(100.0)
    assert (entry["expires_in_s"], entry["created_s_ago"]) == (300.0, 99.0)
    assert short.counters()[TUNNEL]["received-registration-request"] == 2
    assert short.counters()[TUNNEL]["sent-registration-reply"] == 2
    (change,) = short.take_changes().bindings
    assert change[2] is not None
    assert change[2].request_id == 6


def test_the_next_agent_is_told_the_new_end_and_nothing_else() -> None:
    at_hub = registered()
    at_hub.take_changes()
    deliver(at_hub, AGAIN, now=100.0)
    changes = at_hub.take_changes()
    ((domain, (expires, (renewed,))),) = changes.renewed
    assert (domain, renewed.protocol, renewed.expires, renewed.request_id) == (1, SPOKE, 400.0, 6)
    assert expires == renewed.expires
    assert changes.bindings == []
    assert at_hub.take_changes().renewed == []


def test_it_goes_on_from_renewal_to_renewal() -> None:
    at_hub = registered()
    for number in range(7, 20):
        answer = reply(deliver(at_hub, replace(AGAIN, request_id=number), now=10.0 * number))
        assert (answer.request_id, answer.cies[0].code) == (number, 0)
    assert at_hub.nhrp(190.0)[0]["expires_in_s"] == 300.0


@pytest.mark.parametrize(
    "changed",
    [replace(AGAIN, flags=0x8000), replace(AGAIN, cies=(replace(AGAIN.cies[0], holding_time_s=90),)),
     replace(AGAIN, extensions=()), replace(AGAIN, hop_count=254), replace(AGAIN, protocol_type=0x86DE)],
)  # fmt: skip
def test_whatever_else_is_different_goes_the_long_way(changed: Packet) -> None:
    assert not is_short(registered(), changed) or deliver(registered(), changed, now=100.0) == []


def test_from_another_address_it_is_judged_anew() -> None:
    assert not is_short(registered(), AGAIN, OTHER_NBMA)


def test_after_the_binding_has_ended_it_is_bound_anew() -> None:
    at_hub = registered()
    assert is_short(at_hub, AGAIN)
    deliver(at_hub, purge(), now=101.0)
    assert bindings(at_hub) == {}
    assert not is_short(at_hub, replace(AGAIN, request_id=7), now=102.0)


def test_a_wrong_checksum_is_counted_and_not_answered() -> None:
    at_hub = registered()
    data = bytearray(encode(AGAIN))
    data[12] ^= 1
    assert at_hub.receive(TUNNEL, bytes(data), SPOKE_NBMA, 100.0) == []
    assert at_hub.counters()[TUNNEL]["bad-checksum"] == 1


def test_a_hub_with_another_address_of_its_own_does_not_answer_with_the_old_one() -> None:
    at_hub = registered()
    at_hub.source_changed(TUNNEL, IPv4Address("172.17.0.9"), 50.0)
    done = deliver(at_hub, AGAIN, now=100.0)
    responder = reply(done).extension(3)
    assert responder is not None
    assert responder.cies()[0].nbma == IPv4Address("172.17.0.9")
    assert IPv4Address("172.17.0.9") != HUB_NBMA


def test_with_another_secret_it_is_refused() -> None:
    at_hub = registered(authentication=None)
    strict = hub(authentication="secret")
    assert is_short(at_hub, AGAIN)
    (action,) = strict.receive(TUNNEL, encode(AGAIN), SPOKE_NBMA, 1.0)[:1]
    assert decode(action.data).type == 7  # type: ignore[union-attr]


def test_a_spoke_behind_nat_stays_known_as_such() -> None:
    inside = replace(request(), source_nbma=IPv4Address("10.9.1.2"))
    at_hub = registered(inside)
    assert is_short(at_hub, replace(inside, request_id=6))
    assert "nat" in at_hub.nhrp(100.0)[0]["flags"]
    assert bindings(at_hub) == BOUND


def test_another_client_of_the_same_form_is_answered_as_by_a_hub_that_decodes() -> None:
    others = request(OTHER, OTHER_NBMA, request_id=0xFFFF0001)
    known, fresh = registered(), hub()
    done = deliver(known, others, OTHER_NBMA, now=2.0)
    assert neighbours(done) == [(OTHER, OTHER_NBMA)]
    assert encode(reply(done)) == encode(reply(deliver(fresh, others, OTHER_NBMA, now=2.0)))
    assert facts(done, "peer-registered")["previous_nbma"] is None
    assert bindings(known) == {str(SPOKE): str(SPOKE_NBMA), str(OTHER): str(OTHER_NBMA)}
    assert known.counters()[TUNNEL]["received-registration-request"] == 2


@pytest.mark.parametrize("protocol", ["10.0.1.11", "10.0.0.1", "10.0.0.0", "10.0.0.255"])
def test_an_address_that_nobody_may_register_is_refused_in_a_known_form_too(protocol: str) -> None:
    at_hub = registered()
    done = deliver(at_hub, request(IPv4Address(protocol), OTHER_NBMA), OTHER_NBMA, now=2.0)
    assert reply(done).cies[0].code == CieCode.ADMINISTRATIVELY_PROHIBITED
    assert list(bindings(at_hub)) == [str(SPOKE)]


def test_an_address_in_the_entry_is_what_is_registered_whoever_sends_it() -> None:
    named = Cie(prefix_length=32, holding_time_s=300, protocol=SPOKE)
    at_hub = registered(request(cie=named))
    done = deliver(at_hub, request(OTHER, SPOKE_NBMA, cie=named), now=2.0)
    assert neighbours(done) == [(SPOKE, SPOKE_NBMA)]
    assert list(bindings(at_hub)) == [str(SPOKE)]


def test_whoever_names_another_address_in_its_entry_registers_that_one_each_time() -> None:
    at_hub, named = hub(), Cie(prefix_length=32, holding_time_s=300, protocol=OTHER)
    for number in (5, 6, 7):
        deliver(at_hub, request(SPOKE, cie=named, request_id=number), now=2.0)
        assert bindings(at_hub) == {str(OTHER): str(SPOKE_NBMA)}


def test_one_that_names_itself_as_the_destination_does_not_lend_its_form_to_others() -> None:
    at_hub = registered(request(destination_protocol=SPOKE))
    stolen = request(OTHER, OTHER_NBMA, destination_protocol=SPOKE)
    done = deliver(at_hub, stolen, OTHER_NBMA, now=2.0)
    assert reply(done).cies[0].code == CieCode.ADMINISTRATIVELY_PROHIBITED


def test_one_behind_a_nat_does_not_lend_its_form_to_others() -> None:
    at_hub, fresh = registered(replace(request(), source_nbma=IPv4Address("10.9.1.2"))), hub()
    for inside, outer in ((IPv4Address("10.9.1.3"), OTHER_NBMA), (SPOKE_NBMA, OTHER_NBMA)):
        asked = request(OTHER, inside)
        answers = [reply(deliver(each, asked, outer, now=2.0)) for each in (at_hub, fresh)]
        assert encode(answers[0]) == encode(answers[1])


def test_a_request_in_a_known_form_with_a_wrong_checksum_is_counted_and_makes_nothing() -> None:
    at_hub = registered()
    data = bytearray(encode(request(OTHER, OTHER_NBMA)))
    data[13] ^= 1
    assert at_hub.receive(TUNNEL, bytes(data), OTHER_NBMA, 2.0) == []
    assert at_hub.counters()[TUNNEL]["bad-checksum"] == 1


def test_what_comes_together_is_done_in_its_order_and_renewals_that_stand_together_are_one_action() -> None:
    at_hub = registered()
    deliver(at_hub, request(OTHER, OTHER_NBMA), OTHER_NBMA)
    stream = [(encode(replace(AGAIN, request_id=7)), SPOKE_NBMA),
              (encode(request(OTHER, OTHER_NBMA, request_id=7)), OTHER_NBMA),
              (encode(purge()), SPOKE_NBMA), (encode(replace(AGAIN, request_id=8)), SPOKE_NBMA)]  # fmt: skip
    actions = at_hub.receive_all(TUNNEL, stream, 100.0)
    assert isinstance(actions[0], Registered)
    assert [decode(data).request_id for data in actions[0].replies] == [7, 7]
    assert actions[0].nbmas == [SPOKE_NBMA, OTHER_NBMA]
    assert events(actions) == ["multicast-changed", "peer-expired"]
    assert neighbours(actions[-1:]) == [(SPOKE, SPOKE_NBMA)]
    assert list(bindings(at_hub)) == [str(OTHER)]


@given(st.lists(st.tuples(st.sampled_from([SPOKE, OTHER]), st.sampled_from([SPOKE_NBMA, OTHER_NBMA]),
                          st.sampled_from([SPOKE_NBMA, OTHER_NBMA]), st.integers(0, 0xFFFFFFFF),
                          st.booleans(), st.sampled_from([300, 90])), max_size=8))  # fmt: skip
def test_a_hub_with_forms_answers_every_stream_as_one_that_decodes_each_request(stream: list[Any]) -> None:
    known, decoding = hub(), hub()
    for at, (protocol, inside, outer, number, unique, holding) in enumerate(stream):
        entry = Cie(prefix_length=32, mtu=1400, holding_time_s=holding)
        asked = request(protocol, inside, request_id=number, unique=unique, cie=entry)
        for cache in decoding.domains.values():
            for binding in cache:
                binding.client = None
        decoding._server._forms[TUNNEL] = Forms()
        answers = [[encode(each) for each in packets(deliver(of, asked, outer, now=1.0 + at))]
                   for of in (known, decoding)]  # fmt: skip
        assert answers[0] == answers[1]
        assert known.nhrp(1.0 + at) == decoding.nhrp(1.0 + at)
        assert known.counters() == decoding.counters()
