"""Packets that IOS sent are read whole and written again octet for octet."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import ExtensionType, PacketType
from dmvpn_lab.nhrp.packet import decode, encode
from tests.vectors import cisco


@pytest.mark.parametrize("name", cisco.ALL)
def test_a_captured_packet_is_written_again_octet_for_octet(name: str) -> None:
    assert encode(decode(cisco.ALL[name])) == cisco.ALL[name]


@pytest.mark.parametrize("name", cisco.ALL)
def test_padding_of_the_underlay_behind_a_captured_packet_is_ignored(name: str) -> None:
    assert encode(decode(cisco.ALL[name] + b"\xaa" * 7)) == cisco.ALL[name]


def test_a_registration_request_of_ios_says_who_registers_where_and_for_how_long() -> None:
    packet = decode(cisco.REGISTRATION_REQUEST_BEHIND_NAT)
    assert packet.type == PacketType.REGISTRATION_REQUEST
    assert packet.hop_count == 255
    assert packet.flags == 0x8002
    assert packet.request_id == 1
    assert packet.source_nbma == IPv4Address("169.254.100.1")
    assert packet.source_protocol == IPv4Address("155.1.0.1")
    assert packet.destination_protocol == IPv4Address("155.1.0.5")
    assert packet.cies == (Cie(prefix_length=32, mtu=17912, holding_time_s=7200),)


def test_the_extensions_of_ios_stand_in_the_order_3_4_5_7_9() -> None:
    packet = decode(cisco.REGISTRATION_REQUEST_BEHIND_NAT)
    assert [(e.type, e.compulsory) for e in packet.extensions or ()] == [
        (3, True),
        (4, True),
        (5, True),
        (7, True),
        (9, False),
    ]


def test_the_responder_address_of_a_reply_names_the_server() -> None:
    extension = decode(cisco.REGISTRATION_REPLY_BEHIND_NAT).extension(ExtensionType.RESPONDER_ADDRESS)
    assert extension is not None
    (entry,) = extension.cies()
    assert (entry.nbma, entry.protocol) == (IPv4Address("169.254.100.5"), IPv4Address("155.1.0.5"))
    assert entry.holding_time_s == 7200


def test_a_traffic_indication_carries_the_start_of_the_packet_that_it_is_about() -> None:
    packet = decode(cisco.TRAFFIC_INDICATION)
    assert packet.type == PacketType.TRAFFIC_INDICATION
    assert packet.cies == ()
    assert packet.payload[:1] == b"\x45"
    assert packet.payload[12:20] == IPv4Address("10.255.255.3").packed + IPv4Address("10.255.255.2").packed


def test_a_resolution_reply_names_the_next_hop() -> None:
    packet = decode(cisco.RESOLUTION_REPLY)
    (entry,) = packet.cies
    assert (entry.nbma, entry.protocol) == (IPv4Address("192.168.200.2"), IPv4Address("10.255.255.2"))
    assert packet.destination_protocol == IPv4Address("10.255.255.2")


def test_a_forwarded_request_lists_the_server_that_it_passed() -> None:
    packet = decode(cisco.RESOLUTION_REQUEST_FORWARDED)
    assert packet.hop_count == 254
    extension = packet.extension(ExtensionType.FORWARD_TRANSIT_NHS)
    assert extension is not None
    assert [entry.protocol for entry in extension.cies()] == [IPv4Address("10.255.255.1")]
