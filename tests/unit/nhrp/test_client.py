"""The client: what it sends, when it sends again, and which replies count."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from dmvpn_lab.nhrp.actions import SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import PacketType, RegistrationFlag
from dmvpn_lab.nhrp.extensions import authentication
from dmvpn_lab.nhrp.nhc import State
from dmvpn_lab.nhrp.packet import decode, encode
from tests.unit.nhrp.builders import agent, spoke_config
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.registering import answer, registered, started, state, until
from tests.unit.nhrp.seen import events, facts, packets, reply

BACKUP, BACKUP_NBMA = IPv4Address("10.0.0.2"), IPv4Address("172.17.0.2")


# --- the request ----------------------------------------------------------------------------------


def test_the_first_request_leaves_as_soon_as_the_tunnel_has_an_address() -> None:
    actions = agent(spoke_config()).source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    (sent,) = [a for a in actions if isinstance(a, SendPacket)]
    assert (sent.interface, sent.nbma) == (TUNNEL, HUB_NBMA)
    assert facts(actions, "registration-sent")["trigger"] == "tunnel-up"


def test_a_request_says_who_registers_where_and_for_how_long() -> None:
    _, packet = started(unique=False)
    assert packet.type == PacketType.REGISTRATION_REQUEST
    assert (packet.source_nbma, packet.source_protocol, packet.destination_protocol) == (
        SPOKE_NBMA,
        SPOKE,
        HUB,
    )
    assert packet.flags == RegistrationFlag.NAT
    (entry,) = packet.cies
    assert (entry.code, entry.prefix_length, entry.mtu, entry.holding_time_s) == (0, 32, 1400, 300)
    assert (entry.nbma, entry.protocol) == (None, None)
    assert [(e.type, e.compulsory, e.value) for e in packet.extensions or ()] == [
        (3, True, b""),
        (4, True, b""),
        (5, True, b""),
        (9, False, encode_cie(Cie(prefix_length=32, nbma=HUB_NBMA, protocol=HUB))),
    ]


def test_a_unique_request_has_the_bit_and_prefix_length_255() -> None:
    _, packet = started(unique=True)
    assert packet.flags == RegistrationFlag.UNIQUE | RegistrationFlag.NAT
    assert packet.cies[0].prefix_length == 255


def test_the_secret_goes_along_when_there_is_one() -> None:
    _, packet = started(authentication="secret")
    assert packet.extension(7) == authentication("secret")


def test_every_server_gets_its_own_request_with_its_own_id() -> None:
    spoke = agent(spoke_config(nhs=(HUB, BACKUP), static_maps=((HUB, HUB_NBMA), (BACKUP, BACKUP_NBMA))))
    actions = spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert [a.nbma for a in actions if isinstance(a, SendPacket)] == [HUB_NBMA, BACKUP_NBMA]
    first, second = packets(actions)
    assert (first.destination_protocol, second.destination_protocol) == (HUB, BACKUP)
    assert first.request_id != second.request_id


def test_a_point_to_point_tunnel_registers_with_its_destination() -> None:
    spoke = agent(spoke_config(mode="point-to-point", destination=HUB_NBMA, static_maps=()))
    actions = spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert [a.nbma for a in actions if isinstance(a, SendPacket)] == [HUB_NBMA]
    actions = spoke.receive(TUNNEL, answer(reply(actions)), None, 0.1)
    assert events(actions) == ["registered"]


def test_a_server_that_no_map_locates_is_sent_nothing_and_asks_for_no_tick() -> None:
    spoke = agent(spoke_config(static_maps=()))
    assert packets(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)) == []
    assert spoke.deadline() is None


def test_the_first_id_is_random_so_that_nobody_off_the_path_can_guess_it() -> None:
    ids = set()
    for seed in range(50):
        spoke = Agent([spoke_config()], random.Random(seed))
        ids.add(reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)).request_id)
    assert len(ids) == 50
    assert max(ids) > 2**24


# --- retransmission ---------------------------------------------------------------------------------


def test_an_unanswered_request_is_sent_again_under_its_id_after_doubling_jittered_delays() -> None:
    spoke, first = started()
    times = [0.0]
    for at, actions in until(spoke, 600.0):
        again = reply(actions)
        assert again == first
        assert facts(actions, "registration-sent")["trigger"] == "retransmit"
        times.append(at)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    for gap, seconds in zip(gaps, [1, 2, 4, 8, 16, 32, 64, 64, 64, 64], strict=False):
        assert 0.8 * seconds <= gap <= 1.2 * seconds
        assert gap != seconds
    assert len(gaps) >= 9
    assert max(gaps) <= 64 * 1.2


def test_two_spokes_do_not_retransmit_in_step() -> None:
    one, two = (agent(spoke_config(), seed=seed) for seed in (1, 2))
    for each in (one, two):
        each.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert [at for at, _ in until(one, 100.0)] != [at for at, _ in until(two, 100.0)]


def test_a_tick_before_the_time_does_nothing() -> None:
    spoke, _ = started()
    due = spoke.deadline()
    assert due is not None
    assert spoke.tick(due - 0.001) == []
    assert len(packets(spoke.tick(due))) == 1
    assert spoke.tick(due) == []


def test_three_unanswered_sends_are_told_once_and_counted() -> None:
    spoke, _ = started()
    told = [at for at, actions in until(spoke, 300.0) if "registration-timeout" in events(actions)]
    assert len(told) == 1
    assert 0.8 * 7 <= told[0] <= 1.2 * 7
    assert spoke.nhs(300.0)[0]["requests_failed"] == 1


# --- replies -----------------------------------------------------------------------------------------


def test_success_registers_and_names_the_address_and_request() -> None:
    spoke, request = started()
    actions = spoke.receive(TUNNEL, answer(request), HUB_NBMA, 0.25)
    assert packets(actions) == []
    assert facts(actions, "registered") == {
        "interface": TUNNEL,
        "nhs": str(HUB),
        "nbma": str(SPOKE_NBMA),
        "request_id": request.request_id,
    }
    assert state(spoke) is State.REGISTERED


@pytest.mark.parametrize(
    ("changes", "outer"),
    [
        ({"request_id": 1}, HUB_NBMA),
        ({"destination_protocol": OTHER}, HUB_NBMA),
        ({"source_protocol": OTHER}, HUB_NBMA),
        ({}, OTHER_NBMA),
    ],
    ids=["unknown id", "another server", "another client", "another outer source"],
)
def test_a_reply_that_does_not_fit_the_request_is_counted_and_ignored(
    changes: dict[str, object], outer: IPv4Address
) -> None:
    spoke, request = started()
    before = spoke.deadline()
    for code in (0, 14):
        assert spoke.receive(TUNNEL, answer(request, code, **changes), outer, 0.1) == []
    assert state(spoke) is State.REGISTERING
    assert spoke.deadline() == before
    assert spoke.counters()[TUNNEL]["unknown-reply"] == 2


def test_a_second_reply_to_the_same_request_is_unknown() -> None:
    spoke, request = started()
    spoke.receive(TUNNEL, answer(request), HUB_NBMA, 0.1)
    assert spoke.receive(TUNNEL, answer(request, 14), HUB_NBMA, 0.2) == []
    assert state(spoke) is State.REGISTERED
    assert spoke.counters()[TUNNEL]["unknown-reply"] == 1


def test_a_reply_to_the_request_before_an_address_change_is_unknown() -> None:
    spoke, request = started()
    spoke.source_changed(TUNNEL, OTHER_NBMA, 0.1)
    assert spoke.receive(TUNNEL, answer(request), HUB_NBMA, 0.2) == []
    assert state(spoke) is State.REGISTERING


def test_a_reply_without_entries_is_a_success() -> None:
    spoke, request = started()
    bare = encode(replace(request, type=PacketType.REGISTRATION_REPLY, cies=()))
    assert events(spoke.receive(TUNNEL, bare, HUB_NBMA, 0.1)) == ["registered"]


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (4, "administratively prohibited"),
        (5, "insufficient resources"),
        (14, "unique address already registered"),
        (77, "code 77"),
    ],
)
def test_a_refusal_is_told_in_the_rfcs_words_and_tried_again_later_under_a_new_id(
    code: int, meaning: str
) -> None:
    spoke, request = started()
    actions = spoke.receive(TUNNEL, answer(request, code), HUB_NBMA, 0.0)
    assert facts(actions, "registration-refused")["code"] == code
    assert facts(actions, "registration-refused")["meaning"] == meaning
    assert spoke.nhs(0.0)[0]["state"] == "refused"
    assert spoke.nhs(0.0)[0]["last_error"] == meaning
    due = spoke.deadline()
    assert due is not None
    assert 3.2 <= due <= 4.8
    again = reply(spoke.tick(due))
    assert again.request_id != request.request_id
    assert events(spoke.receive(TUNNEL, answer(again), HUB_NBMA, due)) == ["registered"]
    assert spoke.nhs(due)[0]["last_error"] is None


# --- renewal -----------------------------------------------------------------------------------------


def test_a_registration_is_renewed_at_a_third_of_the_holding_time_under_a_new_id() -> None:
    spoke, request = started(holding_time_s=300)
    spoke.receive(TUNNEL, answer(request), HUB_NBMA, 0.5)
    assert spoke.deadline() == 100.5
    actions = spoke.tick(100.5)
    assert facts(actions, "registration-sent")["trigger"] == "timer"
    assert reply(actions).request_id == request.request_id + 1
    assert state(spoke) is State.RENEWING
    assert spoke.nhs(100.5)[0]["state"] == "registered"


def test_a_configured_interval_goes_before_the_third() -> None:
    assert registered(registration_interval_s=20).deadline() == 20.0


def test_renewals_go_on_for_as_long_as_they_are_answered() -> None:
    spoke, request = started()
    spoke.receive(TUNNEL, answer(request), HUB_NBMA, 0.0)
    for turn in range(1, 11):
        at = 100.0 * turn
        assert spoke.deadline() == at
        spoke.receive(TUNNEL, answer(reply(spoke.tick(at))), HUB_NBMA, at)
    entry = spoke.nhs(1000.0)[0]
    assert (entry["requests_sent"], entry["replies_received"], entry["requests_failed"]) == (11, 11, 0)


def test_an_unanswered_renewal_is_retransmitted_and_counts_as_registered_until_the_holding_time() -> None:
    spoke = registered(holding_time_s=300)
    ids, states = set(), []
    for at, actions in until(spoke, 420.0):
        ids.add(reply(actions).request_id)
        states.append((at, spoke.nhs(at)[0]["state"]))
    assert len(ids) == 1
    assert {shown for at, shown in states if at < 300} == {"registered"}
    assert {shown for at, shown in states if at >= 300} == {"registering"}


def test_a_renewal_may_be_refused() -> None:
    spoke = registered()
    actions = spoke.receive(TUNNEL, answer(reply(spoke.tick(100.0)), 14), HUB_NBMA, 100.1)
    assert events(actions) == ["registration-refused"]
    assert state(spoke) is State.REFUSED


# --- addresses come and go ----------------------------------------------------------------------------


def test_a_new_address_is_registered_at_once_under_a_new_id() -> None:
    spoke, request = started()
    spoke.receive(TUNNEL, answer(request), HUB_NBMA, 0.0)
    actions = spoke.source_changed(TUNNEL, OTHER_NBMA, 5.0)
    packet = reply(actions)
    assert (packet.source_nbma, packet.request_id) == (OTHER_NBMA, request.request_id + 1)
    assert facts(actions, "nbma-changed") == {
        "interface": TUNNEL,
        "old": str(SPOKE_NBMA),
        "new": str(OTHER_NBMA),
    }
    assert facts(actions, "registration-sent")["trigger"] == "source-changed"


def test_the_same_address_again_changes_nothing() -> None:
    spoke = registered()
    assert spoke.source_changed(TUNNEL, SPOKE_NBMA, 5.0) == []


def test_without_an_address_nothing_is_sent_and_no_timer_runs() -> None:
    spoke = registered()
    actions = spoke.source_changed(TUNNEL, None, 5.0)
    assert packets(actions) == []
    assert events(actions) == ["nbma-changed", "tunnel-down"]
    assert spoke.deadline() is None
    assert spoke.tick(1e6) == []
    assert spoke.nhs(5.0)[0]["state"] == "waiting"


def test_an_address_after_a_gap_is_registered_at_once() -> None:
    spoke = registered()
    spoke.source_changed(TUNNEL, None, 5.0)
    actions = spoke.source_changed(TUNNEL, SPOKE_NBMA, 10.0)
    assert reply(actions).source_nbma == SPOKE_NBMA
    assert facts(actions, "registration-sent")["trigger"] == "source-changed"


def test_losing_the_address_before_there_was_one_is_no_event() -> None:
    assert agent(spoke_config()).source_changed(TUNNEL, None, 0.0) == []


def test_a_new_address_forgets_the_refusals_of_the_old_one() -> None:
    spoke, request = started()
    now = 0.0
    for _ in range(6):
        spoke.receive(TUNNEL, answer(request, 14), HUB_NBMA, now)
        now = spoke.deadline() or 0.0
        request = reply(spoke.tick(now))
    fresh = reply(spoke.source_changed(TUNNEL, OTHER_NBMA, now))
    spoke.receive(TUNNEL, answer(fresh, 14), HUB_NBMA, now)
    assert (spoke.deadline() or 0.0) - now <= 4.8


def test_the_network_id_is_never_on_the_wire() -> None:
    def sent(network_id: int) -> bytes:
        spoke = agent(spoke_config(network_id=network_id))
        (packet,) = [a for a in spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0) if isinstance(a, SendPacket)]
        return packet.data

    assert sent(1) == sent(0xDEADBEEF)
    assert decode(sent(1)).type == PacketType.REGISTRATION_REQUEST
