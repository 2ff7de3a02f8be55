"""What nobody can exhaust: each limit, its exact answer, and the counter that tells of it."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from dmvpn_lab.nhrp import cache, server, transit
from dmvpn_lab.nhrp.actions import RemoveNeighbour
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import ask, deliver, hub, request
from tests.unit.nhrp.deck import BOUND, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, reply
from tests.unit.nhrp.test_phase_3 import cloud, forward

THIRD = IPv4Address("10.0.0.13")


def question(number: int, wanted: str) -> bytes:
    """A resolution request for an address behind some router."""
    return encode(Packet(PacketType.RESOLUTION_REQUEST, 0, number, SPOKE_NBMA, SPOKE, IPv4Address(wanted)))


def test_one_peer_cannot_fill_the_cache_and_others_and_its_own_renewals_have_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "PEER_LIMIT", 2)
    made = hub()
    for protocol in (SPOKE, OTHER):
        deliver(made, request(protocol))
    assert reply(deliver(made, request(THIRD))).cies[0].code == 5
    assert made.counters()[TUNNEL]["refused-code-5"] == 1
    assert reply(deliver(made, request(SPOKE, request_id=6), now=2.0)).cies[0].code == 0
    assert reply(deliver(made, request(THIRD, OTHER_NBMA), OTHER_NBMA)).cies[0].code == 0
    assert len(bindings(made)) == 3
    made.tick(302.0)
    assert reply(deliver(made, request(IPv4Address("10.0.0.14")), now=303.0)).cies[0].code == 0


def test_a_peer_that_asks_for_too_much_at_once_is_refused_and_the_kernel_keeps_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "PEER_LIMIT", 1)
    made = hub()
    first, _ = ask(made, request())
    second, _ = ask(made, request(OTHER))
    made.installed(first, True, 1.1)
    done = made.installed(second, True, 1.1)
    assert done[0] == RemoveNeighbour(TUNNEL, OTHER)
    assert reply(done).cies[0].code == 5
    assert bindings(made) == BOUND


def test_registrations_beyond_what_may_wait_for_the_kernel_are_silent_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "PENDING_LIMIT", 1)
    made = hub()
    ask(made, request())
    assert made.receive(TUNNEL, encode(request(OTHER)), SPOKE_NBMA, 1.0) == []
    assert made.receive(TUNNEL, encode(request()), SPOKE_NBMA, 1.0) == []  # the same again is no other
    assert made.counters()[TUNNEL]["dropped-busy"] == 1


def test_questions_beyond_what_may_wait_for_the_routes_are_silent_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transit, "LOOKS_LIMIT", 1)
    made = hub(redirect=True)
    assert len(made.receive(TUNNEL, question(1, "192.168.2.1"), SPOKE_NBMA, 1.0)) == 1
    assert made.receive(TUNNEL, question(2, "192.168.3.1"), SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL]["dropped-busy"] == 1


def test_indications_beyond_what_is_remembered_are_not_sent_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transit, "INDICATIONS_LIMIT", 0)
    made = cloud()
    forward(made)
    assert made.sent == []
    assert made.agents[HUB_NBMA].counters()[TUNNEL]["indications-skipped"] == 1
