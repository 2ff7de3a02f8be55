"""Purges: the registrant's own bindings and nobody else's."""

from __future__ import annotations

from ipaddress import IPv4Address

from dmvpn_lab.nhrp.actions import (
    InstallNeighbour,
    RemoveNeighbour,
    SendPacket,
)
from dmvpn_lab.nhrp.constants import PacketType
from tests.unit.nhrp.builders import ask, deliver, hub, purge, request
from tests.unit.nhrp.deck import BOUND, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, events, multicast_changes, packets, reply


def test_the_registrant_purges_its_own_binding_and_gets_a_reply() -> None:
    made = hub()
    deliver(made, request())
    done = deliver(made, purge(), SPOKE_NBMA, now=2.0)
    assert done[0] == RemoveNeighbour(TUNNEL, SPOKE)
    assert multicast_changes(done) == [(set(), {SPOKE_NBMA})]
    assert "peer-expired" in events(done)
    answer = reply(done)
    assert (answer.type, answer.request_id, answer.hop_count) == (PacketType.PURGE_REPLY, 77, 255)
    assert answer.cies == purge().cies
    assert bindings(made) == {}


def test_nobody_elses_purge_is_honoured_though_it_is_answered() -> None:
    made = hub()
    deliver(made, request())
    done = deliver(made, purge(), OTHER_NBMA)
    assert reply(done).type == PacketType.PURGE_REPLY
    assert [type(a) for a in done] == [SendPacket]
    assert bindings(made) == BOUND


def test_with_the_n_bit_there_is_no_reply() -> None:
    made = hub()
    deliver(made, request())
    assert packets(deliver(made, purge(flags=0x8000))) == []
    assert bindings(made) == {}


def test_a_purge_of_what_is_not_there_is_answered_all_the_same() -> None:
    assert reply(deliver(hub(), purge())).type == PacketType.PURGE_REPLY


def test_an_entry_without_address_purges_the_senders() -> None:
    made = hub()
    deliver(made, request())
    deliver(made, purge(None))
    assert bindings(made) == {}


def test_a_prefix_purges_all_of_the_registrants_in_it_and_no_other() -> None:
    made = hub()
    for protocol, nbma in ((SPOKE, SPOKE_NBMA), (IPv4Address("10.0.0.8"), SPOKE_NBMA),
                           (IPv4Address("10.0.0.99"), SPOKE_NBMA), (OTHER, OTHER_NBMA)):  # fmt: skip
        deliver(made, request(protocol, nbma), nbma)
    deliver(made, purge(IPv4Address("10.0.0.8"), prefix=29))  # .8 to .15
    assert set(bindings(made)) == {"10.0.0.99", str(OTHER)}


def test_a_purge_withdraws_a_request_that_still_waits_for_the_kernel() -> None:
    made = hub()
    token, _ = ask(made, request())
    done = deliver(made, purge())
    assert done[0] == RemoveNeighbour(TUNNEL, SPOKE)
    assert made.installed(token, True, 1.2) == []
    assert bindings(made) == {}
    ask(made, request(), now=2.0)


def test_a_binding_that_runs_out_while_its_renewal_waits_gets_its_neighbour_back() -> None:
    made = hub()
    deliver(made, request(), now=1.0)
    token, _ = ask(made, request(request_id=6, hop_count=254), now=300.9)
    assert made.tick(301.0)[0] == RemoveNeighbour(TUNNEL, SPOKE)
    done = made.installed(token, True, 301.1)
    assert InstallNeighbour(TUNNEL, SPOKE, SPOKE_NBMA) in done[: -len(packets(done))]
    assert multicast_changes(done) == [({SPOKE_NBMA}, set())]
    assert bindings(made, 301.1) == BOUND
