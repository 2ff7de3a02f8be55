"""Renewals go the short way, many at once: the same answers and the same state as by the long way."""

from __future__ import annotations

import json
import operator
from dataclasses import replace
from hmac import compare_digest
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, Notify, SendPacket, apart
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.extensions import authentication
from dmvpn_lab.nhrp.form import Forms
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.saved import Key, bind_lines, bindings_of, renew_lines, renewals_of
from tests.unit.nhrp.builders import carry_out, deliver, hub, purge, request, summed
from tests.unit.nhrp.deck import OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.dual import OTHER_6, SPOKE_6, dual_hub, request_6
from tests.unit.nhrp.seen import facts, packets

INSIDE = IPv4Address("10.9.1.2")
"""An NBMA address behind a NAT."""
SECRET = "secret"

Received = tuple[bytes, IPv4Address]


def forget_forms(of: Agent) -> None:
    """Have the next packet decoded, whatever it is."""
    of._server._forms[TUNNEL] = Forms()
    for cache in of.domains.values():
        for binding in cache:
            binding.client = None


def said(actions: list[Action]) -> list[Any]:
    """Packets, events, and what is asked of the kernel: each kind in its order."""
    done = apart(actions)
    events = [(each.name, dict(each.facts)) for each in done if isinstance(each, Notify)]
    others = [each for each in done if not isinstance(each, Notify | SendPacket)]
    return [[each for each in done if isinstance(each, SendPacket)], events, others]


def answered(actions: list[Action]) -> list[Any]:
    """Packets and events: a renewal asks the kernel nothing."""
    return said(actions)[:2]


def seen(of: Agent, now: float) -> tuple[Any, ...]:
    """What a hub shows."""
    return of.nhrp(now), of.counters(), of.multicast()


def keep(journal: dict[Key, Binding], of: Agent) -> dict[Key, Binding]:
    """Write what changed into a state file, so to speak, and read it."""
    changes = of.take_changes()
    for record in map(json.loads, renew_lines(changes.renewed)):
        for key, expires, request_id in renewals_of(record):
            journal[key].expires, journal[key].request_id = expires, request_id
    for domain, protocol, binding in changes.bindings:
        journal.pop((domain, protocol.packed), None)
        for line in bind_lines([] if binding is None else [(domain, binding)]):
            (journal[domain, protocol.packed],) = bindings_of(json.loads(line))
    return journal


def with_secret(packet: Packet, secret: str | None) -> Packet:
    """The request of a client with that secret."""
    ours = () if secret is None else (authentication(secret),)
    return replace(packet, extensions=(*ours, *(packet.extensions or ())))


# --- one by one ---------------------------------------------------------------------------------


def test_many_renewals_are_one_action() -> None:
    at = hub()
    clients = [(SPOKE + n, SPOKE_NBMA + n) for n in range(20)]
    for protocol, nbma in clients:
        deliver(at, request(protocol, nbma), nbma)
    stream = [(encode(request(*client, request_id=9)), client[1]) for client in clients]
    (action,) = at.receive_all(TUNNEL, stream, 9.0)
    assert len(apart([action])) == 2 * len(clients)


def test_two_renewals_of_one_client_at_once_are_both_answered_and_the_last_one_counts() -> None:
    at = hub()
    deliver(at, request())
    journal = keep({}, at)
    stream = [(encode(request(request_id=number)), SPOKE_NBMA) for number in (8, 9)]
    assert [packet.request_id for packet in packets(apart(at.receive_all(TUNNEL, stream, 9.0)))] == [8, 9]
    (kept,) = keep(journal, at).values()
    assert (kept.request_id, kept.expires) == (9, 309.0)


def test_a_renewal_tells_the_address_that_the_client_has_and_had() -> None:
    at = hub()
    deliver(at, request())
    assert facts(deliver(at, request(request_id=6)), "peer-registered")["previous_nbma"] == str(SPOKE_NBMA)


@pytest.mark.parametrize(("secret", "compare"), [(SECRET, compare_digest), (None, operator.eq)])
def test_a_secret_is_compared_in_a_time_that_does_not_tell_how_much_of_it_was_right(
    secret: str | None, compare: object
) -> None:
    at = hub(authentication=secret)
    deliver(at, with_secret(request(), secret))
    (binding,) = at.domains[1]
    assert binding.client is not None
    assert binding.client.form.same is compare


def test_a_wrong_secret_is_refused_though_all_else_is_known() -> None:
    at = hub(authentication=SECRET)
    deliver(at, with_secret(request(), SECRET))
    stream = [(encode(with_secret(request(request_id=6), word)), SPOKE_NBMA) for word in ("Secret", SECRET)]
    assert [packet.type for packet in packets(apart(at.receive_all(TUNNEL, stream, 9.0)))] == [7, 4]
    assert at.counters()[TUNNEL]["bad-authentication"] == 1


@pytest.mark.parametrize("low", [0, 1, 0x7FFF, 0xFFFE, 0xFFFF])
def test_checksums_at_both_ends_of_their_range(low: int) -> None:
    """The one after 0xFFFE is 0: a packet's words are never all zero."""
    short, long = hub(), hub()
    for at in (short, long):
        deliver(at, request())
    first = encode(request(request_id=0))
    for wanted in (0, 1, 0x7FFF, 0xFFFD, 0xFFFE):  # of the request, or of its reply
        for of in (first, packets_of(deliver_octets(hub(), first))[0]):
            whole = (int.from_bytes(of[12:14], "big") - wanted) % 0xFFFF
            data = encode(request(request_id=((whole - low) % 0xFFFF) << 16 | low))
            forget_forms(long)
            answers = [packets_of(deliver_octets(at, data)) for at in (short, long)]
            assert answers[0] == answers[1]
            assert wanted in [int.from_bytes(each[12:14], "big") for each in (data, *answers[0])]


def deliver_octets(to: Agent, data: bytes, nbma: IPv4Address = SPOKE_NBMA, now: float = 2.0) -> list[Action]:
    """What an agent does about a packet; the kernel takes every neighbour."""
    return carry_out(to, to.receive(TUNNEL, data, nbma, now), now)


def packets_of(actions: list[Action]) -> list[bytes]:
    """The octets that are sent."""
    return [each.data for each in apart(actions) if isinstance(each, SendPacket)]


# --- any stream ---------------------------------------------------------------------------------

CLIENTS: list[Packet] = [
    request(), request(OTHER, OTHER_NBMA), request(unique=True), request(OTHER, OTHER_NBMA, extensions=None),
    request(nbma=INSIDE), request(destination_protocol=SPOKE), with_secret(request(), SECRET),
    with_secret(request(OTHER, OTHER_NBMA), SECRET), request(cie=Cie(prefix_length=32, holding_time_s=90)),
    request(cie=Cie(prefix_length=32, holding_time_s=300, protocol=OTHER)), request_6(),
    request_6(OTHER_6, OTHER_NBMA), request_6(SPOKE_6, INSIDE), purge(), purge(OTHER, nbma=OTHER_NBMA),
]  # fmt: skip


@st.composite
def received(draw: st.DrawFn) -> Received:
    """A packet of a client, sometimes with other octets in it, and its outer source."""
    packet = draw(st.sampled_from(CLIENTS))
    number = draw(st.integers(1, 4) | st.integers(0, 0xFFFFFFFF))
    data = encode(replace(packet, request_id=number))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw(st.binary(max_size=2)) + data[at + draw(st.integers(0, 2)) :]
        data = summed(data) if len(data) >= 14 and draw(st.booleans()) else data
    nbma = packet.source_nbma if draw(st.integers(0, 3)) else draw(st.sampled_from([SPOKE_NBMA, OTHER_NBMA]))
    return data, SPOKE_NBMA if nbma == INSIDE or not isinstance(nbma, IPv4Address) else nbma


STREAMS = st.lists(st.lists(received(), max_size=8), max_size=4)
SECRETS = st.sampled_from([None, SECRET])


@given(STREAMS, SECRETS)
@settings(max_examples=200)
def test_what_comes_at_once_is_handled_as_if_it_came_one_by_one(
    stream: list[list[Received]], secret: str | None
) -> None:
    once, apiece = dual_hub(authentication=secret), dual_hub(authentication=secret)
    journals: list[dict[Key, Binding]] = [{}, {}]
    for number, batch in enumerate(stream):
        now = 1.0 + 50.0 * number
        done = [once.receive_all(TUNNEL, batch, now),
                [action for each in batch for action in apiece.receive_all(TUNNEL, [each], now)]]  # fmt: skip
        assert said(done[0]) == said(done[1])
        for at, actions in zip((once, apiece), done, strict=True):
            carry_out(at, actions, now)
        assert seen(once, now) == seen(apiece, now)
        assert keep(journals[0], once) == keep(journals[1], apiece)


@given(STREAMS, SECRETS)
@settings(max_examples=200)
def test_the_short_way_answers_as_the_long_way_and_leaves_the_same(
    stream: list[list[Received]], secret: str | None
) -> None:
    short, long = dual_hub(authentication=secret), dual_hub(authentication=secret)
    journals: list[dict[Key, Binding]] = [{}, {}]
    for number, batch in enumerate(stream):
        now = 1.0 + 50.0 * number
        for data, nbma in batch:
            forget_forms(long)
            done = [deliver_octets(at, data, nbma, now) for at in (short, long)]
            assert answered(done[0]) == answered(done[1])
        assert seen(short, now) == seen(long, now)
        assert keep(journals[0], short) == keep(journals[1], long)
        for at in (short, long):
            carry_out(at, at.tick(now + 45.0), now + 45.0)


def test_the_streams_do_go_the_short_way() -> None:
    """Else the tests above would compare the long way with itself."""
    at = dual_hub()
    for packet in (request(), request(OTHER, OTHER_NBMA), request_6()):
        nbma = packet.source_nbma
        assert isinstance(nbma, IPv4Address)
        deliver(at, packet, nbma)
        again = at.receive_all(TUNNEL, [(encode(replace(packet, request_id=6)), nbma)], 2.0)
        assert not any(isinstance(each, InstallNeighbour) for each in again)
