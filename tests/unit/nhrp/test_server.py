"""The server: registrations, and what the kernel has to say to them."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from dmvpn_lab.nhrp import server
from dmvpn_lab.nhrp.actions import (
    ChangeMulticastPeers,
    InstallNeighbour,
    Notify,
    RemoveNeighbour,
    SendPacket,
)
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import ask, deliver, hub, purge, request
from tests.unit.nhrp.deck import BOUND, HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, events, facts, multicast_changes, neighbours, packets, reply

# --- success, in its order --------------------------------------------------------------------------


def test_success_is_answered_only_after_the_kernel_took_the_neighbour() -> None:
    made = hub()
    token, asked = ask(made, request())
    assert asked == [InstallNeighbour(TUNNEL, SPOKE, SPOKE_NBMA, token)]
    assert bindings(made) == {}
    done = made.installed(token, True, 1.1)
    assert [type(a) for a in done] == [ChangeMulticastPeers, Notify, Notify, SendPacket]
    assert events(done) == ["multicast-changed", "peer-registered"]
    assert reply(done).cies[0].code == 0
    assert bindings(made, 1.1) == BOUND


def test_a_kernel_that_refuses_the_neighbour_makes_code_5_and_no_binding() -> None:
    made = hub()
    done = deliver(made, request(), ok=False)
    entry = reply(done).cies[0]
    assert (entry.code, entry.holding_time_s) == (5, 0)
    assert facts(done, "peer-refused")["meaning"] == "insufficient resources"
    assert bindings(made) == {}
    assert multicast_changes(done) == []
    counted = made.counters()[TUNNEL]
    assert (counted["neighbour-refused"], counted["refused-code-5"]) == (1, 1)


def test_a_renewal_that_the_kernel_refuses_leaves_the_binding_as_it_was() -> None:
    made = hub()
    deliver(made, request(), now=1.0)
    other = request(request_id=6, hop_count=254)  # not as before: the kernel is asked
    done = deliver(made, other, now=100.0, ok=False)
    assert reply(done).cies[0].code == 5
    assert made.nhrp(100.0)[0]["expires_in_s"] == 201.0


def test_the_reply_is_the_request_with_another_type_and_the_server_as_responder() -> None:
    sent = request(request_id=0xFFFF1234, hop_count=3)
    answer = reply(deliver(hub(), sent))
    assert answer.type == PacketType.REGISTRATION_REPLY
    assert answer.hop_count == 255
    assert answer.request_id == sent.request_id
    assert (answer.source_nbma, answer.source_protocol) == (SPOKE_NBMA, SPOKE)
    assert answer.destination_protocol == HUB
    assert answer.cies == sent.cies
    responder = answer.extension(3)
    assert responder is not None
    (entry,) = responder.cies()
    assert (entry.nbma, entry.protocol, entry.holding_time_s, entry.mtu) == (HUB_NBMA, HUB, 300, 1400)
    assert [e.type for e in answer.extensions or ()] == [3, 4, 5]
    assert (answer.extensions or ())[1:] == (sent.extensions or ())[1:]


def test_the_reply_goes_to_the_outer_source_also_through_a_nat() -> None:
    made = hub()
    done = deliver(made, request(nbma=IPv4Address("192.168.7.7")), SPOKE_NBMA)
    assert [a.nbma for a in done if isinstance(a, SendPacket)] == [SPOKE_NBMA]
    assert neighbours(done) == [(SPOKE, SPOKE_NBMA)]
    assert made.counters()[TUNNEL]["nbma-mismatch"] == 1


def test_extensions_that_the_server_does_not_know_come_back_unchanged_in_their_order() -> None:
    extensions = (
        Extension(9, False),
        Extension(0x3801, False, b"\1\2"),
        Extension(8, False, b"v"),
        Extension(4),
    )
    assert reply(deliver(hub(), request(extensions=extensions))).extensions == extensions


def test_a_request_without_extensions_gets_a_reply_without_them() -> None:
    assert reply(deliver(hub(), request(extensions=None))).extensions is None


def test_the_secret_comes_back_in_the_place_where_it_stood() -> None:
    extensions = (Extension(3), authentication("secret"), Extension(5))
    answer = reply(deliver(hub(authentication="secret"), request(extensions=extensions)))
    assert [e.type for e in answer.extensions or ()] == [3, 7, 5]
    assert answer.extension(7) == authentication("secret")


def test_the_holding_time_is_the_clients() -> None:
    made = hub(holding_time_s=7200)
    deliver(made, request(cie=Cie(prefix_length=32, holding_time_s=60)), now=1.0)
    entry = made.nhrp(1.0)[0]
    assert (entry["holding_time_s"], entry["expires_in_s"]) == (60, 60.0)
    assert made.deadline() == 61.0


@pytest.mark.parametrize("prefix", [0, 32, 255])
@pytest.mark.parametrize("unique", [True, False])
def test_prefix_lengths_of_one_address_are_all_accepted(prefix: int, unique: bool) -> None:
    made = hub()
    deliver(made, request(unique=unique, cie=Cie(prefix_length=prefix, holding_time_s=300)))
    assert bindings(made) == BOUND


def test_the_address_in_the_entry_goes_before_the_one_in_the_header() -> None:
    made = hub()
    deliver(made, request(cie=Cie(prefix_length=32, holding_time_s=300, protocol=OTHER)))
    assert bindings(made) == {str(OTHER): str(SPOKE_NBMA)}


# --- refresh, move, run out -------------------------------------------------------------------------


def test_an_identical_refresh_keeps_the_age_and_moves_the_end() -> None:
    made = hub()
    deliver(made, request(unique=True), now=1.0)
    done = deliver(made, request(unique=True, request_id=6), now=101.0)
    assert reply(done).cies[0].code == 0
    assert multicast_changes(done) == []
    assert facts(done, "peer-registered")["previous_nbma"] == str(SPOKE_NBMA)
    entry = made.nhrp(101.0)[0]
    assert (entry["created_s_ago"], entry["expires_in_s"]) == (100.0, 300.0)


def test_a_client_that_is_not_unique_moves_to_its_new_address() -> None:
    made = hub()
    deliver(made, request(), SPOKE_NBMA, now=1.0)
    done = deliver(made, request(nbma=OTHER_NBMA, request_id=6), OTHER_NBMA, now=2.0)
    assert reply(done).cies[0].code == 0
    assert neighbours(done) == [(SPOKE, OTHER_NBMA)]
    assert multicast_changes(done) == [({OTHER_NBMA}, {SPOKE_NBMA})]
    assert bindings(made, 2.0) == {str(SPOKE): str(OTHER_NBMA)}
    assert made.nhrp(2.0)[0]["created_s_ago"] == 0.0


def test_a_binding_runs_out_with_its_neighbour_and_its_multicast() -> None:
    made = hub()
    deliver(made, request(), now=1.0)
    assert made.tick(300.999) == []
    done = made.tick(301.0)
    assert done[0] == RemoveNeighbour(TUNNEL, SPOKE)
    assert multicast_changes(done) == [(set(), {SPOKE_NBMA})]
    assert events(done) == ["multicast-changed", "peer-expired"]
    assert bindings(made) == {}
    assert made.deadline() is None


def test_a_retransmission_while_the_kernel_is_asked_is_not_asked_twice() -> None:
    made = hub()
    token, _ = ask(made, request())
    assert made.receive(TUNNEL, encode(request()), SPOKE_NBMA, 1.5) == []
    assert len(packets(made.installed(token, True, 2.0))) == 1
    again, _ = ask(made, request(hop_count=254), now=3.0)
    assert again != token
    assert len(packets(made.installed(again, True, 3.0))) == 1


def test_requests_that_wait_for_the_kernel_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PENDING_LIMIT", 2)
    made = hub()
    addresses = [IPv4Address(f"10.0.0.{n}") for n in (21, 22, 23)]
    first, _ = ask(made, request(addresses[0]))
    ask(made, request(addresses[1]))
    assert made.receive(TUNNEL, encode(request(addresses[2])), SPOKE_NBMA, 1.0) == []
    made.installed(first, True, 1.1)
    ask(made, request(addresses[2]))


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("unique", [True, False])
def test_a_unique_address_is_not_given_to_another_client_and_the_answer_is_code_14(unique: bool) -> None:
    made = hub()
    deliver(made, request(unique=True), SPOKE_NBMA)
    done = deliver(made, request(nbma=OTHER_NBMA, unique=unique, request_id=99), OTHER_NBMA, now=50.0)
    entry = reply(done).cies[0]
    assert (entry.code, entry.holding_time_s) == (14, 0)
    assert facts(done, "peer-refused")["code"] == 14
    assert facts(done, "peer-refused")["nbma"] == str(OTHER_NBMA)
    assert neighbours(done) == []
    assert bindings(made) == BOUND
    assert made.counters()[TUNNEL]["refused-code-14"] == 1


def test_a_unique_address_is_free_after_its_holding_time() -> None:
    made = hub()
    deliver(made, request(unique=True), SPOKE_NBMA, now=1.0)
    made.tick(301.0)
    done = deliver(made, request(nbma=OTHER_NBMA, unique=True), OTHER_NBMA, now=301.0)
    assert reply(done).cies[0].code == 0


def test_a_unique_claim_to_an_address_that_was_not_unique_is_granted() -> None:
    made = hub()
    deliver(made, request(), SPOKE_NBMA)
    done = deliver(made, request(nbma=OTHER_NBMA, unique=True, request_id=9), OTHER_NBMA)
    assert reply(done).cies[0].code == 0
    assert "unique" in made.nhrp(1.0)[0]["flags"]


def test_of_two_unique_claims_that_wait_for_the_kernel_at_once_only_the_first_is_granted() -> None:
    made = hub()
    first, _ = ask(made, request(unique=True), SPOKE_NBMA)
    second, _ = ask(made, request(nbma=OTHER_NBMA, unique=True, request_id=4000), OTHER_NBMA)
    assert reply(made.installed(first, True, 1.1)).cies[0].code == 0
    done = made.installed(second, True, 1.1)
    assert reply(done).cies[0].code == 14
    assert neighbours(done) == [(SPOKE, SPOKE_NBMA)], "the kernel gets the first one's back"
    assert bindings(made) == BOUND


@pytest.mark.parametrize(
    "refused",
    [
        request(IPv4Address("10.0.1.11")),  # outside the tunnel's subnet
        request(HUB),  # the server's own
        request(IPv4Address("10.0.0.0")),
        request(IPv4Address("10.0.0.255")),
        request(cie=Cie(prefix_length=24, holding_time_s=300)),  # a whole subnet
        request(cie=Cie(prefix_length=32, holding_time_s=0)),
        request(cies=(Cie(holding_time_s=300), Cie(holding_time_s=300, protocol=OTHER))),
        request(destination_protocol=OTHER),  # another server's client
        request(destination_protocol=None),
    ],
    ids=[
        "other subnet",
        "the server's address",
        "network address",
        "broadcast address",
        "prefix",
        "holding time 0",
        "two entries",
        "another server",
        "no destination",
    ],
)
def test_what_may_not_be_registered_is_refused_with_code_4_and_leaves_nothing(refused: Packet) -> None:
    made = hub()
    done = deliver(made, refused)
    assert reply(done).cies[0].code == 4
    assert reply(done).cies[0].holding_time_s == 0
    assert [type(a) for a in done] == [SendPacket, Notify]
    assert bindings(made) == {}
    assert made.deadline() is None


def test_a_client_that_knows_no_server_names_itself_as_destination() -> None:
    made = hub()
    assert reply(deliver(made, request(destination_protocol=SPOKE))).cies[0].code == 0


def test_a_static_entry_is_never_displaced() -> None:
    made = hub(static_maps=((SPOKE, HUB_NBMA),))
    for nbma in (SPOKE_NBMA, HUB_NBMA):
        done = deliver(made, request(nbma=nbma), nbma)
        assert reply(done).cies[0].code == 4
        assert neighbours(done) == []
    deliver(made, purge(), HUB_NBMA)
    assert made.tick(1e9) == []
    assert bindings(made) == {str(SPOKE): str(HUB_NBMA)}


def test_a_full_cache_refuses_new_addresses_with_code_5_and_renews_old_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = hub()
    monkeypatch.setattr(made.domains[1], "_limit", 1)
    deliver(made, request())
    full = deliver(made, request(OTHER, OTHER_NBMA), OTHER_NBMA)
    assert reply(full).cies[0].code == 5
    assert reply(deliver(made, request(request_id=6), now=2.0)).cies[0].code == 0
    assert bindings(made) == BOUND


def test_a_cache_that_fills_while_the_kernel_is_asked_refuses_and_takes_the_neighbour_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = hub()
    monkeypatch.setattr(made.domains[1], "_limit", 1)
    first, _ = ask(made, request())
    second, _ = ask(made, request(OTHER, OTHER_NBMA), OTHER_NBMA)
    made.installed(first, True, 1.1)
    done = made.installed(second, True, 1.1)
    assert done[0] == RemoveNeighbour(TUNNEL, OTHER)
    assert reply(done).cies[0].code == 5
    assert bindings(made) == BOUND


@pytest.mark.parametrize(
    "unanswerable",
    [
        request(cies=()),
        request(source_protocol=None),
        request(cie=Cie(holding_time_s=300, protocol=b"\1\2\3")),
    ],
    ids=["no entry", "no protocol address", "an address of three octets"],
)
def test_a_request_that_names_no_address_is_counted_and_not_answered(unanswerable: Packet) -> None:
    made = hub()
    assert deliver(made, unanswerable) == []
    assert made.counters()[TUNNEL]["malformed"] == 1


# --- overtaken on the way ---------------------------------------------------------------------------


def moved(now: float = 1.0) -> Agent:
    """A hub whose client has just registered from its new address, with ID 6."""
    made = hub()
    deliver(made, request(request_id=5), SPOKE_NBMA, now=now - 0.5)
    deliver(made, request(nbma=OTHER_NBMA, request_id=6), OTHER_NBMA, now=now)
    return made


def test_a_late_request_from_the_old_address_is_counted_and_ignored() -> None:
    made = moved()
    assert deliver(made, request(request_id=5), SPOKE_NBMA, now=1.2) == []
    assert bindings(made) == {str(SPOKE): str(OTHER_NBMA)}
    assert made.counters()[TUNNEL]["late-request"] == 1


def test_a_late_request_that_already_waits_for_the_kernel_is_taken_back() -> None:
    made = hub()
    new, _ = ask(made, request(nbma=OTHER_NBMA, request_id=6), OTHER_NBMA)
    old, _ = ask(made, request(request_id=5), SPOKE_NBMA)
    made.installed(new, True, 1.1)
    assert made.installed(old, True, 1.1) == [InstallNeighbour(TUNNEL, SPOKE, OTHER_NBMA)]
    assert bindings(made) == {str(SPOKE): str(OTHER_NBMA)}


@pytest.mark.parametrize(
    ("request_id", "now"), [(7, 1.2), (5, 6.1), (1_000_000, 1.2), (0xFFFF0000, 1.2)],
    ids=["newer", "long ago", "another start", "far behind"],
)  # fmt: skip
def test_a_client_that_comes_back_or_begins_anew_is_not_taken_for_late(request_id: int, now: float) -> None:
    made = moved()
    deliver(made, request(request_id=request_id), SPOKE_NBMA, now=now)
    assert bindings(made, now) == BOUND


def test_ids_wrap_around() -> None:
    made = hub()
    deliver(made, request(nbma=OTHER_NBMA, request_id=2), OTHER_NBMA, now=1.0)
    assert deliver(made, request(request_id=0xFFFFFFFF), SPOKE_NBMA, now=1.1) == []
