"""IPv6 beside IPv4 in one tunnel: packets of each family, bindings side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, IPv6Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmvpn_lab.nhrp.actions import FindRoute, InstallNeighbour, InstallShortcut, SendPacket
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PROTOCOL_IPV4, PROTOCOL_IPV6, CieCode, ErrorCode, PacketType
from dmvpn_lab.nhrp.packet import encode
from dmvpn_lab.nhrp.route import Route
from dmvpn_lab.nhrp.saved import Saved, bind_lines, bindings_of
from tests.unit.nhrp.builders import agent, carry_out, deliver, hub_config, request, summed
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.dual import (
    HUB_6,
    HUB_LINK,
    OTHER_6,
    OTHER_LINK,
    SPOKE_6,
    SPOKE_LINK,
    dual_hub,
    dual_spoke,
    overlays,
    question,
    request_6,
)
from tests.unit.nhrp.seen import bindings, events, multicast_changes, neighbours, packets, reply

LAN = IPv6Network("2001:db8:12::/64")
FAR = LAN[2]
NEW_NBMA = IPv4Address("172.16.1.77")


def test_a_spoke_asks_once_for_each_of_its_addresses_each_in_its_family() -> None:
    sent = packets(dual_spoke().source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    assert [(p.protocol_type, p.source_protocol, p.destination_protocol) for p in sent] == [
        (PROTOCOL_IPV4, SPOKE, HUB),
        (PROTOCOL_IPV6, SPOKE_6, HUB_6),
        (PROTOCOL_IPV6, SPOKE_LINK, HUB_LINK),
    ]
    assert {p.source_nbma for p in sent} == {SPOKE_NBMA}
    assert [p.cies[0].prefix_length for p in sent] == [32, 128, 128]
    assert len({p.request_id for p in sent}) == 3


def test_the_unique_bit_goes_with_prefix_length_255_in_ipv6_too() -> None:
    sent = packets(dual_spoke(unique=True).source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    assert [(p.flags & 0x8000, p.cies[0].prefix_length) for p in sent] == [(0x8000, 255)] * 3


def test_static_maps_and_neighbours_of_both_families_lead_to_the_hub_and_multicast_goes_once() -> None:
    done = dual_spoke().source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert neighbours(done) == [(HUB, HUB_NBMA), (HUB_6, HUB_NBMA), (HUB_LINK, HUB_NBMA)]
    assert multicast_changes(done) == [({HUB_NBMA}, set())]


def test_a_hub_binds_each_address_and_has_one_multicast_peer() -> None:
    hub = dual_hub()
    done = deliver(hub, request())
    done += deliver(hub, request_6())
    done += deliver(hub, request_6(SPOKE_LINK, to=HUB_LINK))
    assert bindings(hub) == dict.fromkeys(map(str, (SPOKE, SPOKE_6, SPOKE_LINK)), str(SPOKE_NBMA))
    assert [entry["prefix_length"] for entry in hub.nhrp(1.0)] == [32, 128, 128]
    assert multicast_changes(done) == [({SPOKE_NBMA}, set())]
    assert [p.protocol_type for p in packets(done)] == [PROTOCOL_IPV4, PROTOCOL_IPV6, PROTOCOL_IPV6]


def test_the_multicast_peer_stays_until_the_last_of_its_bindings_is_gone() -> None:
    hub = dual_hub()
    deliver(hub, request(), now=1.0)
    deliver(hub, request_6(), now=100.0)
    assert multicast_changes(hub.tick(301.0)) == []
    assert bindings(hub, 302.0) == {str(SPOKE_6): str(SPOKE_NBMA)}
    assert multicast_changes(hub.tick(400.0)) == [(set(), {SPOKE_NBMA})]


def test_the_reply_to_each_request_counts_for_its_registration_only() -> None:
    spoke, hub = dual_spoke(), dual_hub()
    _, global_one, _ = [a for a in spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0) if isinstance(a, SendPacket)]
    answer = reply(
        hub.installed(1, True, 0.1) if hub.receive(TUNNEL, global_one.data, SPOKE_NBMA, 0.1) else []
    )
    assert events(deliver(spoke, answer, HUB_NBMA)) == ["registered"]
    assert [each["state"] for each in spoke.nhs(1.0)] == ["registering", "registered", "registering"]
    deliver(spoke, replace(answer, source_protocol=SPOKE_LINK), HUB_NBMA)
    assert [each["state"] for each in spoke.nhs(1.0)] == ["registering", "registered", "registering"]


def test_a_unique_ipv6_address_is_not_taken_by_another_and_ipv4_is_not_asked() -> None:
    hub = dual_hub()
    deliver(hub, request_6(flags=0x8000))
    deliver(hub, request())
    refused = reply(deliver(hub, request_6(nbma=OTHER_NBMA), OTHER_NBMA))
    assert (refused.cies[0].code, refused.cies[0].holding_time_s) == (CieCode.ALREADY_REGISTERED, 0)
    assert bindings(hub)[str(SPOKE_6)] == str(SPOKE_NBMA)
    moved = reply(deliver(hub, request(nbma=OTHER_NBMA), OTHER_NBMA))
    assert moved.cies[0].code == CieCode.SUCCESS


@pytest.mark.parametrize("prefix_length", [0, 128, 255])
def test_prefix_lengths_that_mean_one_ipv6_address(prefix_length: int) -> None:
    entry = Cie(prefix_length=prefix_length, holding_time_s=300)
    assert reply(deliver(dual_hub(), request_6(cies=(entry,)))).cies[0].code == CieCode.SUCCESS


@pytest.mark.parametrize("prefix_length", [1, 32, 64, 127])
def test_nobody_may_register_a_whole_ipv6_prefix(prefix_length: int) -> None:
    hub = dual_hub()
    entry = Cie(prefix_length=prefix_length, holding_time_s=300)
    answer = reply(deliver(hub, request_6(cies=(entry,))))
    assert answer.cies[0].code == CieCode.ADMINISTRATIVELY_PROHIBITED
    assert bindings(hub) == {}


@pytest.mark.parametrize(
    "protocol", ["2001:db8::1", "2001:db8::", "2001:db8:1::11", "::1", "ff02::5", "::ffff:10.0.0.11"]
)
def test_what_is_no_address_of_a_client_in_the_subnet_is_refused(protocol: str) -> None:
    hub = dual_hub()
    answer = reply(deliver(hub, request_6(IPv6Address(protocol))))
    assert answer.cies[0].code == CieCode.ADMINISTRATIVELY_PROHIBITED
    assert bindings(hub) == {}


def test_an_entry_of_the_other_family_is_not_bound() -> None:
    hub = dual_hub()
    entry = Cie(prefix_length=32, holding_time_s=300, protocol=SPOKE)
    assert deliver(hub, request_6(cies=(entry,))) == []
    assert bindings(hub) == {}
    assert hub.counters()[TUNNEL]["malformed"] == 1


def test_a_tunnel_without_ipv6_leaves_ipv6_requests_alone() -> None:
    hub = agent(hub_config())
    hub.source_changed(TUNNEL, HUB_NBMA, 0.0)
    assert deliver(hub, request_6()) == []
    assert bindings(hub) == {}


def test_an_ipv6_only_tunnel_registers_and_binds() -> None:
    hub = agent(hub_config(address=IPv6Interface((int(HUB_6), 64))))
    hub.source_changed(TUNNEL, HUB_NBMA, 0.0)
    assert reply(deliver(hub, request_6())).cies[0].code == CieCode.SUCCESS
    assert deliver(hub, request()) == []
    assert bindings(hub) == {str(SPOKE_6): str(SPOKE_NBMA)}


def test_an_ipv6_renewal_goes_the_short_way_and_only_its_own_binding_lives_longer() -> None:
    hub = dual_hub()
    deliver(hub, request_6(), now=1.0)
    deliver(hub, request_6(SPOKE_LINK, to=HUB_LINK), now=1.0)
    again = hub.receive(TUNNEL, encode(request_6(request_id=6)), SPOKE_NBMA, 101.0)
    assert not [a for a in again if isinstance(a, InstallNeighbour)]  # the kernel is not asked
    answer = reply(again)
    assert (answer.request_id, answer.source_protocol) == (6, SPOKE_6)
    left = {entry["protocol"]: entry["expires_in_s"] for entry in hub.nhrp(101.0)}
    assert left == {str(SPOKE_6): 300.0, str(SPOKE_LINK): 200.0}


def test_a_new_nbma_address_moves_the_binding_of_each_family() -> None:
    hub = dual_hub()
    for number, nbma in enumerate((SPOKE_NBMA, NEW_NBMA)):
        deliver(hub, request(nbma=nbma, request_id=5 + number), nbma, 1.0 + number)
        deliver(hub, request_6(nbma=nbma, request_id=5 + number), nbma, 1.0 + number)
    assert set(bindings(hub).values()) == {str(NEW_NBMA)}
    (peer,) = hub.multicast()
    assert peer["nbma"] == str(NEW_NBMA)


def test_a_router_that_leaves_purges_what_is_registered_in_each_family() -> None:
    spoke, hub = dual_spoke(), dual_hub()
    for action in spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0):
        if isinstance(action, SendPacket):
            for packet in packets(deliver(hub, packets([action])[0], SPOKE_NBMA)):
                deliver(spoke, packet, HUB_NBMA)
    assert len(bindings(hub)) == 3
    left = packets(spoke.leave(1.0))
    assert [p.cies[0].protocol for p in left] == [SPOKE, SPOKE_6, SPOKE_LINK]
    for packet in left:
        deliver(hub, packet, SPOKE_NBMA)
    assert bindings(hub) == {}


def test_a_purge_of_an_ipv6_prefix_ends_the_registrants_bindings_in_it_and_no_others() -> None:
    hub = dual_hub()
    deliver(hub, request())
    deliver(hub, request_6())
    deliver(hub, request_6(OTHER_6, OTHER_NBMA), OTHER_NBMA)
    entry = Cie(prefix_length=64, protocol=SPOKE_6)
    deliver(hub, replace(request_6(cies=(entry,)), type=PacketType.PURGE_REQUEST))
    assert set(bindings(hub)) == {str(SPOKE), str(OTHER_6)}


def test_an_error_about_an_ipv6_packet_is_an_ipv6_packet_to_its_sender() -> None:
    answer = reply(deliver(dual_hub(), request_6(hop_count=0)))
    assert (answer.type, answer.error_code) == (PacketType.ERROR_INDICATION, ErrorCode.HOP_COUNT_EXCEEDED)
    assert (answer.protocol_type, answer.source_protocol) == (PROTOCOL_IPV6, HUB_6)
    assert answer.destination_protocol == SPOKE_6


def test_the_bindings_of_both_families_outlive_the_agent() -> None:
    hub = dual_hub()
    deliver(hub, request())
    deliver(hub, request_6())
    changes = hub.take_changes()
    following = agent(hub_config(overlays=overlays(HUB_6, HUB_LINK, server=True)))

    lines = bind_lines((domain, bound) for domain, _, bound in changes.bindings if bound is not None)
    kept = tuple(bound for line in lines for bound in bindings_of(json.loads(line)))
    following.restore(Saved(changes.last_id, kept), 2.0)
    assert bindings(following) == bindings(hub)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """An IPv6 packet with octets changed or cut, and its checksum right."""
    asked = question(SPOKE_6), request_6(), request_6(SPOKE_LINK, to=HUB_LINK)
    data = bytearray(encode(draw(st.sampled_from(asked))))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        del data[draw(st.integers(20, len(data))) :]
        data[10:12] = len(data).to_bytes(2, "big")
    return summed(data)


@settings(deadline=None, derandomize=True, max_examples=400)
@given(octets=st.lists(mangled(), max_size=6))
def test_whatever_comes_only_clients_of_a_subnet_are_bound_and_each_success_is_a_binding(
    octets: list[bytes],
) -> None:
    hub = dual_hub(redirect=True)
    networks = [part.address.network for part in hub.tunnels[TUNNEL].config.parts()]
    for data in octets:
        before = bindings(hub)
        done = carry_out(hub, hub.receive(TUNNEL, data, SPOKE_NBMA, 1.0), 1.0)
        replies = [p for p in packets(done) if p.type == PacketType.REGISTRATION_REPLY]
        if all(p.cies[0].code for p in replies):  # refused, or nothing asked
            assert set(bindings(hub)) <= set(before)
        for protocol in map(ip_address, bindings(hub)):
            assert sum(protocol in network for network in networks) == 1
            assert protocol not in (HUB, HUB_6, HUB_LINK)


# --- phases 2 and 3 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "of", "server"), [(OTHER_6, SPOKE_6, HUB_6), (OTHER_LINK, SPOKE_LINK, HUB_LINK)]
)
def test_an_ipv6_neighbour_is_resolved_by_the_address_of_its_own_subnet(
    wanted: IPv6Address, of: IPv6Address, server: IPv6Address
) -> None:
    spoke = dual_spoke(resolve=True)
    spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    asked = spoke.probed(TUNNEL, wanted, 1.0)
    assert neighbours(asked) == [(wanted, HUB_NBMA)]  # through the hub meanwhile
    sent = reply(asked)
    assert (sent.source_protocol, sent.destination_protocol) == (of, wanted)
    assert sent.protocol_type == PROTOCOL_IPV6
    hub = dual_hub()
    deliver(hub, request_6(wanted, OTHER_NBMA, server), OTHER_NBMA)
    answer = reply(deliver(hub, sent, SPOKE_NBMA))
    assert neighbours(deliver(spoke, answer, HUB_NBMA)) == [(wanted, OTHER_NBMA)]


def ipv6_packet(source: IPv6Address, destination: IPv6Address) -> bytes:
    """The start of one: a header, and 8 octets of UDP."""
    return b"\x60" + bytes(3) + b"\x00\x08\x11\x40" + source.packed + destination.packed + bytes(8)


def test_an_ipv6_packet_that_the_hub_sends_back_into_the_tunnel_leads_to_a_shortcut() -> None:
    near = IPv6Address("2001:db8:11::2")
    hub, spoke, other = (
        dual_hub(redirect=True),
        dual_spoke(resolve=True, shortcut=True),
        dual_spoke(12, shortcut=True),
    )
    spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    other.source_changed(TUNNEL, OTHER_NBMA, 0.0)
    deliver(hub, request_6())
    deliver(hub, request_6(OTHER_6, OTHER_NBMA), OTHER_NBMA)
    told = reply(hub.forwarded(TUNNEL, TUNNEL, SPOKE_NBMA, ipv6_packet(near, FAR), 1.0))
    assert (told.type, told.protocol_type) == (PacketType.TRAFFIC_INDICATION, PROTOCOL_IPV6)
    assert (told.source_protocol, told.destination_protocol) == (HUB_6, near)
    (look,) = [a for a in deliver(spoke, told, HUB_NBMA) if isinstance(a, FindRoute)]
    assert look.address == near
    (then,) = spoke.found(look.token, Route(IPv6Network("2001:db8:11::/64"), "eth2", None), 1.0)
    assert isinstance(then, FindRoute)
    asked = reply(spoke.found(then.token, Route(LAN, TUNNEL, HUB_6), 1.0))
    assert (asked.source_protocol, asked.destination_protocol) == (SPOKE_6, FAR)
    (at_hub,) = deliver(hub, asked, SPOKE_NBMA)
    assert isinstance(at_hub, FindRoute)
    passed = hub.found(at_hub.token, Route(LAN, TUNNEL, OTHER_6), 1.0)
    assert [a.nbma for a in passed if isinstance(a, SendPacket)] == [OTHER_NBMA]
    (at_end,) = deliver(other, reply(passed), HUB_NBMA)
    assert isinstance(at_end, FindRoute)
    answer = reply(other.found(at_end.token, Route(LAN, "eth2", None), 1.0))
    assert answer.cies[0].protocol == OTHER_6
    back = reply(deliver(hub, answer, OTHER_NBMA))
    done = deliver(spoke, back, HUB_NBMA)
    assert neighbours(done) == [(OTHER_6, OTHER_NBMA)]
    assert [a for a in done if isinstance(a, InstallShortcut)] == [InstallShortcut(TUNNEL, LAN, OTHER_6)]


def test_what_is_no_ip_packet_leads_to_no_indication() -> None:
    hub = dual_hub(redirect=True)
    deliver(hub, request_6())
    for octets in (b"", b"\x60", ipv6_packet(SPOKE_6, FAR)[:39], b"\x50" + bytes(60)):
        assert hub.forwarded(TUNNEL, TUNNEL, SPOKE_NBMA, octets, 1.0) == []


def test_an_ipv4_question_and_an_ipv6_question_for_the_same_spoke_are_two() -> None:
    hub = dual_hub()
    deliver(hub, request())
    deliver(hub, request_6())
    answer = reply(deliver(hub, question(SPOKE_6), OTHER_NBMA))
    assert (answer.cies[0].protocol, answer.cies[0].nbma) == (SPOKE_6, SPOKE_NBMA)
    assert answer.cies[0].prefix_length == 128
    nothing = reply(deliver(hub, question(OTHER_6, SPOKE_6)))
    assert nothing.cies[0].code == CieCode.NO_BINDING
    assert str(OTHER) not in bindings(hub)
