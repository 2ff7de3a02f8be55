"""The agent: domains, bad input and its exact outcome, deadlines, the end."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from dmvpn_lab.answers import EVENTS
from dmvpn_lab.nhrp.actions import ChangeMulticastPeers, InstallNeighbour, Notify, RemoveNeighbour, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet, decode, encode
from tests.unit.nhrp.builders import (
    agent,
    carry_out,
    deliver,
    hub,
    hub_config,
    request,
    spoke_config,
    with_field,
)
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, events, facts, multicast_changes, neighbours, packets, reply

SECOND = "tunnel1"
SECOND_NBMA = IPv4Address("172.18.0.1")


def two_tunnels(first: int, second: int, subnet: str = "10.0.1.1/24") -> Agent:
    """A hub with two tunnels, by their network-ids."""
    made = agent(
        hub_config(network_id=first),
        hub_config(name=SECOND, network_id=second, address=IPv4Interface(subnet)),
    )
    made.source_changed(TUNNEL, HUB_NBMA, 0.0)
    made.source_changed(SECOND, SECOND_NBMA, 0.0)
    return made


def resolve(of: Agent, interface: str, wanted: IPv4Address) -> int:
    """The code of the answer to a resolution request on a tunnel."""
    question = replace(request(OTHER, OTHER_NBMA), type=1, destination_protocol=wanted, cies=())
    return reply(of.receive(interface, encode(question), OTHER_NBMA, 2.0)).cies[0].code


# --- network-id -----------------------------------------------------------------------------------


def test_tunnels_of_one_network_id_are_one_domain() -> None:
    made = two_tunnels(7, 7)
    deliver(made, request())
    assert resolve(made, SECOND, SPOKE) == 0


def test_tunnels_of_different_network_ids_know_nothing_of_each_other() -> None:
    made = two_tunnels(7, 8)
    deliver(made, request())
    assert resolve(made, TUNNEL, SPOKE) == 0
    assert resolve(made, SECOND, SPOKE) == 12


def test_the_same_address_may_be_in_two_domains() -> None:
    made = two_tunnels(7, 8, "10.0.0.1/24")
    deliver(made, request(unique=True), SPOKE_NBMA)
    data = encode(request(nbma=OTHER_NBMA, unique=True))
    done = carry_out(made, made.receive(SECOND, data, OTHER_NBMA, 1.0), 1.0)
    assert reply(done).cies[0].code == 0
    shown = {(e["network_id"], e["interface"], e["nbma"]) for e in made.nhrp(1.0)}
    assert shown == {(7, TUNNEL, str(SPOKE_NBMA)), (8, SECOND, str(OTHER_NBMA))}


def test_a_unique_address_is_unique_in_all_tunnels_of_a_domain() -> None:
    made = two_tunnels(7, 7, "10.0.0.2/24")
    deliver(made, request(unique=True), SPOKE_NBMA)
    rival = request(nbma=OTHER_NBMA, unique=True, destination_protocol=IPv4Address("10.0.0.2"))
    done = carry_out(made, made.receive(SECOND, encode(rival), OTHER_NBMA, 1.0), 1.0)
    assert reply(done).cies[0].code == 14


@pytest.mark.parametrize("nbma", [SPOKE_NBMA, OTHER_NBMA])
def test_a_client_that_comes_back_over_another_tunnel_of_the_domain_leaves_nothing_behind(
    nbma: IPv4Address,
) -> None:
    made = two_tunnels(7, 7, "10.0.0.2/24")
    deliver(made, request())
    moved = request(nbma=nbma, request_id=6, destination_protocol=IPv4Address("10.0.0.2"))
    done = carry_out(made, made.receive(SECOND, encode(moved), nbma, 2.0), 2.0)
    assert RemoveNeighbour(TUNNEL, SPOKE) in done
    assert ChangeMulticastPeers(TUNNEL, (), (SPOKE_NBMA,)) in done
    assert ChangeMulticastPeers(SECOND, (nbma,), ()) in done
    assert [(e["interface"], e["nbma"]) for e in made.nhrp(2.0)] == [(SECOND, str(nbma))]
    assert made.tick(302.0)[0] == RemoveNeighbour(SECOND, SPOKE)


def test_the_multicast_of_one_tunnel_does_not_go_to_the_peers_of_another() -> None:
    made = two_tunnels(7, 7)
    deliver(made, request())
    assert {(e["interface"], e["nbma"]) for e in made.multicast()} == {(TUNNEL, str(SPOKE_NBMA))}


# --- tunnels come up ----------------------------------------------------------------------------------


def test_static_maps_are_installed_when_the_tunnel_first_has_an_address() -> None:
    spoke = agent(spoke_config())
    actions = spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert actions[0] == InstallNeighbour(TUNNEL, HUB, HUB_NBMA, None)
    assert multicast_changes(actions) == [({HUB_NBMA}, set())]
    assert events(actions) == ["multicast-changed", "tunnel-up", "registration-sent"]
    again = spoke.source_changed(TUNNEL, OTHER_NBMA, 1.0)
    assert neighbours(again) == []


def test_a_point_to_point_tunnel_installs_no_neighbour_for_its_map() -> None:
    spoke = agent(spoke_config(mode="point-to-point", destination=HUB_NBMA))
    assert neighbours(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)) == []
    assert bindings(spoke) == {str(HUB): str(HUB_NBMA)}


def test_without_a_server_there_is_nothing_to_send_and_no_deadline() -> None:
    made = hub()
    assert made.deadline() is None
    assert made.tick(1e6) == []


def test_the_deadline_is_the_soonest_of_bindings_and_registrations() -> None:
    both = agent(hub_config(nhs=(OTHER,), static_maps=((OTHER, OTHER_NBMA),)))
    both.source_changed(TUNNEL, HUB_NBMA, 0.0)
    sooner = both.deadline()
    assert sooner is not None
    assert sooner < 2
    deliver(both, request(cie=Cie(prefix_length=32, holding_time_s=1)), now=0.0)
    assert both.deadline() == min(sooner, 1.0)


def test_the_end_of_the_agent_leaves_the_kernels_state() -> None:
    made = hub()
    deliver(made, request())
    (told,) = made.shutdown(5.0)
    assert told == Notify("tunnel-down", {"interface": TUNNEL, "reason": "the agent ends"})
    assert agent(hub_config()).shutdown(0.0) == []


def test_every_event_has_a_name_that_is_announced() -> None:
    spoke, made = agent(spoke_config()), hub()
    seen = events(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)) + events(spoke.tick(50.0))
    seen += events(deliver(made, request(unique=True)))
    seen += events(deliver(made, request(nbma=OTHER_NBMA), OTHER_NBMA)) + events(made.tick(1000.0))
    seen += events(spoke.source_changed(TUNNEL, None, 60.0)) + events(made.shutdown(1000.0))
    assert len(set(seen)) >= 8
    assert set(seen) <= set(EVENTS)


# --- bad input: silence and a counter --------------------------------------------------------------------

GOOD = encode(request())
SILENT = {
    "nothing": (b"", "malformed"),
    "one octet": (b"\0", "malformed"),
    "a cut header": (GOOD[:19], "malformed"),
    "a cut packet": (GOOD[:-1], "malformed"),
    "zeroes": (bytes(60), "malformed"),
    "a size beyond the octets": (GOOD[:10] + b"\xff\xff" + GOOD[12:], "malformed"),
    "a size inside the header": (GOOD[:10] + b"\0\x13" + GOOD[12:], "malformed"),
    "a smaller size": (GOOD[:10] + b"\0\x40" + GOOD[12:], "bad-checksum"),
    "a flipped bit": (GOOD[:-1] + b"\1", "bad-checksum"),
    "version 0": (with_field(GOOD, 16, b"\0"), "malformed"),
    "version 2": (with_field(GOOD, 16, b"\2"), "malformed"),
    "type 0": (with_field(GOOD, 17, b"\0"), "malformed"),
    "extensions inside the header": (with_field(GOOD, 14, b"\0\x10"), "malformed"),
    "extensions inside an address": (with_field(GOOD, 14, b"\0\x1e"), "malformed"),
    "extensions beyond the end": (with_field(GOOD, 14, b"\1\0"), "malformed"),
    "another NBMA family": (with_field(GOOD, 0, b"\0\2"), "malformed"),
    "another protocol": (with_field(GOOD, 2, b"\x86\xdd"), "malformed"),
    "a wrong NBMA length": (with_field(GOOD, 18, b"\6"), "malformed"),
    "a subaddress that is not there": (with_field(GOOD, 19, b"\x08"), "malformed"),
    "an entry that overruns": (with_field(GOOD, 48, b"\4"), "malformed"),
    "an extension twice": (encode(request(extensions=(Extension(3), Extension(3)))), "malformed"),
    "extensions after the end": (
        encode(request(extensions=(Extension(0), Extension(3)))),
        "malformed",
    ),
}


@pytest.mark.parametrize("what", SILENT)
def test_malformed_octets_are_counted_and_never_answered(what: str) -> None:
    data, counter = SILENT[what]
    made = hub()
    assert made.receive(TUNNEL, data, SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL] == {counter: 1}
    assert (bindings(made), made.deadline()) == ({}, None)


def test_a_packet_cut_at_any_octet_is_counted_and_never_answered() -> None:
    made = hub()
    for size in range(len(GOOD)):
        assert made.receive(TUNNEL, GOOD[:size], SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL] == {"malformed": len(GOOD)}


def test_fifteen_hundred_octets_of_entries_register_nothing() -> None:
    made = hub()
    many = tuple(
        Cie(protocol=IPv4Address(f"10.0.0.{n}"), prefix_length=32, holding_time_s=300) for n in range(2, 93)
    )
    packet = request(cies=many, extensions=None)
    assert len(encode(packet)) >= 1490
    assert reply(deliver(made, packet)).cies[0].code == 4
    assert bindings(made) == {}


def test_a_subaddress_that_is_there_is_kept_and_harmless() -> None:
    made = hub()
    answer = reply(deliver(made, request(nbma_subaddress=b"\1\2")))
    assert (answer.cies[0].code, answer.nbma_subaddress) == (0, b"\1\2")


@pytest.mark.parametrize("kind", [9, 100, 255])
def test_an_unknown_type_is_counted_and_ignored(kind: int) -> None:
    made = hub()
    for data in (encode(request(type=kind)), encode(request(type=kind, cies=(), payload=b"\xff" * 7))):
        assert made.receive(TUNNEL, data, SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL] == {"unknown-type": 2, f"received-{kind}": 2}


@pytest.mark.parametrize("kind", [PacketType.RESOLUTION_REPLY, PacketType.PURGE_REPLY])
def test_replies_to_questions_that_nobody_asked_are_counted_and_ignored(kind: int) -> None:
    made = hub()
    assert made.receive(TUNNEL, encode(request(type=kind)), SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL]["unknown-reply"] == 1


def test_a_traffic_indication_at_a_hub_is_counted_and_changes_nothing() -> None:
    made = hub()
    packet = request(type=PacketType.TRAFFIC_INDICATION, cies=(), payload=b"\x45" + bytes(27))
    assert made.receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL] == {"indication-ignored": 1, "received-traffic-indication": 1}


def test_a_packet_whose_outer_source_nobody_knows_is_dropped() -> None:
    assert hub().receive(TUNNEL, GOOD, None, 1.0) == []


# --- bad input: an error indication ---------------------------------------------------------------------

REFUSED = {
    "no secret": (request(), 11, "bad-authentication"),
    "a wrong secret": (request(extensions=(authentication("wrong"),)), 11, "bad-authentication"),
    "no extensions": (request(extensions=None), 11, "bad-authentication"),
    "hop count 0": (
        request(hop_count=0, extensions=(authentication("secret"),)),
        15,
        "hop-count-exceeded",
    ),
    "an unknown compulsory extension": (
        request(extensions=(authentication("secret"), Extension(0x3801, True, b"x"))),
        1,
        "unknown-compulsory-extension",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("kind", [1, 3, 5])
def test_a_refused_request_gets_one_error_indication_and_leaves_nothing(what: str, kind: int) -> None:
    packet, code, counter = REFUSED[what]
    made = hub(authentication="secret")
    data = encode(replace(packet, type=kind))
    done = made.receive(TUNNEL, data, SPOKE_NBMA, 1.0)
    (sent,) = [a for a in done if isinstance(a, SendPacket)]
    answer = decode(sent.data)
    assert (sent.interface, sent.nbma) == (TUNNEL, SPOKE_NBMA)
    assert (answer.type, answer.error_code) == (PacketType.ERROR_INDICATION, code)
    assert (answer.source_nbma, answer.source_protocol) == (HUB_NBMA, HUB)
    assert answer.destination_protocol == SPOKE
    assert (answer.payload, answer.extensions) == (data, None)
    assert made.counters()[TUNNEL][counter] == 1
    assert made.counters()[TUNNEL][f"error-sent-code-{code}"] == 1
    assert made.counters()[TUNNEL]["sent-error-indication"] == 1
    assert (bindings(made), neighbours(done), made.deadline()) == ({}, [], None)
    assert events(done) == (["peer-refused"] if kind == 3 else [])
    if kind == 3:
        assert facts(done, "peer-refused")["meaning"] == counter


def test_an_unknown_extension_that_is_not_compulsory_is_no_reason_to_refuse() -> None:
    done = deliver(hub(), request(extensions=(Extension(0x3801, False, b"x"),)))
    assert reply(done).cies[0].code == 0


def test_known_compulsory_extensions_are_accepted() -> None:
    extensions = tuple(Extension(kind) for kind in (3, 4, 5, 8, 9))
    assert reply(deliver(hub(), request(extensions=extensions))).cies[0].code == 0


@pytest.mark.parametrize(
    "about",
    [
        GOOD,
        b"",
        b"\xff" * 40,
        encode(Packet(PacketType.ERROR_INDICATION, payload=b"an error inside an error", extensions=None)),
    ],
)
@pytest.mark.parametrize("extensions", [None, (), (Extension(0x3801, True),), (authentication("wrong"),)])
@pytest.mark.parametrize("hop_count", [0, 255])
def test_an_error_indication_is_never_answered_with_an_error(
    about: bytes, extensions: tuple[Extension, ...] | None, hop_count: int
) -> None:
    made = hub(authentication="secret")
    packet = Packet(
        PacketType.ERROR_INDICATION,
        request_id=11 << 16,
        source_protocol=SPOKE,
        payload=about,
        extensions=extensions,
        hop_count=hop_count,
    )
    assert made.receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL]["error-received-code-11"] == 1


def test_two_agents_do_not_throw_errors_at_each_other() -> None:
    one, two = hub(authentication="one"), hub(authentication="two")
    first = packets(one.receive(TUNNEL, GOOD, SPOKE_NBMA, 1.0))
    assert len(first) == 1
    assert two.receive(TUNNEL, encode(first[0]), HUB_NBMA, 1.0) == []


def test_an_ipv6_packet_is_refused_with_an_error_that_can_be_read() -> None:
    made = hub(authentication="secret")
    packet = request(protocol_type=0x86DD, source_protocol=None, destination_protocol=None)
    assert reply(made.receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0)).error_code == 11


def test_one_seed_makes_one_run() -> None:
    def run(seed: int) -> list[object]:
        spoke = Agent([spoke_config()], random.Random(seed))
        actions = list(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0))
        for _ in range(5):
            actions += spoke.tick(spoke.deadline() or 0.0)
        return [actions, spoke.deadline()]

    assert run(3) == run(3)
    assert run(3) != run(4)


def test_a_larger_size_with_padding_inside_is_malformed() -> None:
    padded = GOOD + bytes(8)
    data = with_field(padded, 10, struct.pack("!H", len(padded)))
    made = hub()
    assert made.receive(TUNNEL, data, SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL] == {"malformed": 1}
