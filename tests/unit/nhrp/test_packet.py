"""The packet codec: what round trips, what is kept, what is malformed and why."""

from __future__ import annotations

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import AFN_IPV6, PROTOCOL_IPV6, ErrorCode, PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import ChecksumError, Packet, decode, encode, error_indication
from tests.unit.nhrp.builders import request, summed, with_field
from tests.unit.nhrp.deck import HUB, HUB_NBMA, SPOKE, SPOKE_NBMA
from tests.vectors import cisco

ENTRY = Cie(prefix_length=32, mtu=1400, holding_time_s=300, nbma=SPOKE_NBMA, protocol=SPOKE)
REQUEST = encode(request(cie=ENTRY))
EXTENSIONS_AT = struct.unpack_from("!H", REQUEST, 14)[0]


def of_type(kind: int) -> Packet:
    """A packet of each type with all parts that the type may have."""
    packet = replace(request(cie=ENTRY), type=kind)
    if kind in (PacketType.ERROR_INDICATION, PacketType.TRAFFIC_INDICATION) or kind > 8:
        return replace(packet, cies=(), payload=b"\x45\0\0\x1c and so on")
    return packet


def refusal(data: bytes) -> DecodeError:
    """What the decoder says about octets that it does not take."""
    with pytest.raises(DecodeError) as caught:
        decode(data)
    return caught.value


@pytest.mark.parametrize("kind", [*PacketType, 9, 127, 128, 255])
def test_a_packet_of_any_type_is_read_as_it_was_written(kind: int) -> None:
    packet = of_type(kind)
    assert decode(encode(packet)) == packet


def test_the_fixed_header_stands_as_the_rfc_draws_it() -> None:
    fields = struct.unpack_from("!HH5sBHHHBBBB", REQUEST)
    afn, protocol, snap, hops, size, total, extensions_at, version, kind, nbma, sub = fields
    assert (afn, protocol, snap, hops, version, kind) == (1, 0x0800, bytes(5), 255, 1, 3)
    assert size == len(REQUEST)
    assert extensions_at == len(REQUEST) - 16
    assert (nbma, sub) == (4, 0)
    assert total != 0
    assert checksum(REQUEST) == 0


def test_the_mandatory_part_stands_as_the_rfc_draws_it() -> None:
    wanted = struct.pack("!BBHI", 4, 4, 0, 5) + SPOKE_NBMA.packed + SPOKE.packed + HUB.packed
    assert REQUEST[20:40] == wanted
    assert REQUEST[40:EXTENSIONS_AT] == encode_cie(ENTRY)


def test_no_extension_part_is_another_thing_than_an_empty_one() -> None:
    without, empty = replace(request(), extensions=None), replace(request(), extensions=())
    assert decode(encode(without)).extensions is None
    assert decode(encode(empty)).extensions == ()
    assert len(encode(empty)) == len(encode(without)) + 4
    assert struct.unpack_from("!H", encode(without), 14) == (0,)


def test_flags_ids_snap_hop_count_and_subaddress_are_kept() -> None:
    packet = replace(
        request(),
        flags=0xFFFF,
        request_id=0xFFFFFFFF,
        snap=b"\1\2\3\4\5",
        hop_count=1,
        nbma_subaddress=b"\xca\xfe",
    )
    assert decode(encode(packet)) == packet


def test_ipv6_addresses_are_read_by_their_family() -> None:
    packet = replace(
        request(),
        afn=AFN_IPV6,
        protocol_type=PROTOCOL_IPV6,
        source_nbma=IPv6Address("2001:db8::1"),
        source_protocol=IPv6Address("fd00::11"),
        destination_protocol=IPv6Address("fd00::1"),
    )
    assert decode(encode(packet)) == packet


def test_an_unknown_family_may_have_addresses_of_any_length() -> None:
    packet = replace(
        request(), afn=3, protocol_type=0x00CC, source_nbma=b"\1" * 20, source_protocol=b"\2" * 7
    )
    assert decode(encode(packet)) == packet


def test_addresses_may_be_left_out() -> None:
    packet = replace(request(), source_nbma=None, source_protocol=None, destination_protocol=None)
    assert decode(encode(packet)) == packet


def test_a_packet_may_have_no_entry_or_many() -> None:
    for entries in ((), (Cie(),) * 3, (ENTRY, Cie(), ENTRY)):
        packet = replace(request(), cies=entries)
        assert decode(encode(packet)) == packet


def test_fifteen_hundred_octets_of_entries_survive() -> None:
    packet = replace(request(), cies=(Cie(mtu=1400),) * 125, extensions=None)
    assert len(encode(packet)) > 1500
    assert decode(encode(packet)) == packet


def test_an_odd_length_is_summed_as_if_a_zero_followed() -> None:
    packet = replace(request(), extensions=(authentication("odd"),))
    data = encode(packet)
    assert len(data) % 2
    assert checksum(data + b"\0") == 0
    assert decode(data) == packet


# --- truncation --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", cisco.ALL)
def test_a_captured_packet_cut_at_any_octet_is_malformed(name: str) -> None:
    whole = cisco.ALL[name]
    for size in range(len(whole)):
        refusal(whole[:size])


@pytest.mark.parametrize("kind", PacketType)
def test_a_packet_cut_at_any_octet_is_malformed_though_size_and_checksum_fit(kind: int) -> None:
    """The cut packet claims to be whole: only its parts can tell that it is not."""
    whole = encode(of_type(kind))
    for size in range(20, len(whole)):
        refusal(summed(whole[:10] + struct.pack("!H", size) + whole[12:size]))


@pytest.mark.parametrize("size", range(20))
def test_less_than_a_fixed_header_is_malformed(size: int) -> None:
    assert refusal(REQUEST[:size]).code == ErrorCode.PROTOCOL_ERROR


# --- fields that lie ----------------------------------------------------------------------------


def test_a_size_field_beyond_the_octets_or_inside_the_header_is_malformed() -> None:
    for size in (0, 1, 19, len(REQUEST) + 1, 0xFFFF):
        error = refusal(REQUEST[:10] + struct.pack("!H", size) + REQUEST[12:])
        assert (error.code, error.offset) == (ErrorCode.PROTOCOL_ERROR, 10)


def test_octets_beyond_the_size_field_are_padding() -> None:
    assert decode(REQUEST + b"\xff" * 10) == decode(REQUEST)


def test_a_wrong_checksum_is_told_from_other_faults() -> None:
    for at in (0, 12, 13, 20, 35, len(REQUEST) - 1):
        broken = bytearray(REQUEST)
        broken[at] ^= 1
        assert isinstance(refusal(bytes(broken)), ChecksumError)
    assert not isinstance(refusal(b""), ChecksumError)


@pytest.mark.parametrize("version", [0, 2, 0xEF, 0xFF])
def test_another_version_is_malformed(version: int) -> None:
    assert refusal(with_field(REQUEST, 16, bytes([version]))).offset == 16


def test_type_zero_is_malformed() -> None:
    assert refusal(with_field(REQUEST, 17, b"\0")).offset == 17


@pytest.mark.parametrize(
    "extensions_at",
    [
        1,
        19,  # inside the fixed header
        20,
        27,  # inside the mandatory part's fixed fields
        len(REQUEST) + 1,
        0xFFFF,
    ],
)
def test_an_extension_offset_outside_the_packets_variable_part_is_an_invalid_extension(
    extensions_at: int,
) -> None:
    error = refusal(with_field(REQUEST, 14, struct.pack("!H", extensions_at)))
    assert (error.code, error.offset) == (ErrorCode.INVALID_EXTENSION, 14)


@pytest.mark.parametrize("extensions_at", range(28, EXTENSIONS_AT))
def test_an_extension_offset_inside_an_address_or_an_entry_is_malformed(extensions_at: int) -> None:
    refusal(with_field(REQUEST, 14, struct.pack("!H", extensions_at)))


def test_an_extension_offset_at_the_very_end_leaves_no_room_for_the_end_marker() -> None:
    refusal(with_field(REQUEST, 14, struct.pack("!H", len(REQUEST))))


def test_without_an_extension_offset_the_extensions_are_read_as_entries_and_do_not_fit() -> None:
    refusal(with_field(REQUEST, 14, b"\0\0"))


@pytest.mark.parametrize("length", [1, 3, 5, 16, 63, 0x44, 0x84, 255])
def test_an_nbma_length_that_contradicts_the_family_is_malformed(length: int) -> None:
    assert refusal(with_field(REQUEST, 18, bytes([length]))).offset == 18


@pytest.mark.parametrize("at", [20, 21])
@pytest.mark.parametrize("length", [1, 3, 5, 16, 255])
def test_a_protocol_length_that_contradicts_the_protocol_is_malformed(at: int, length: int) -> None:
    assert refusal(with_field(REQUEST, at, bytes([length]))).offset == 20


def test_a_family_that_contradicts_the_lengths_is_malformed() -> None:
    assert refusal(with_field(REQUEST, 0, struct.pack("!H", AFN_IPV6))).offset == 18
    assert refusal(with_field(REQUEST, 2, struct.pack("!H", PROTOCOL_IPV6))).offset == 20


def test_a_subaddress_that_is_not_there_shifts_the_rest_and_does_not_fit() -> None:
    refusal(with_field(REQUEST, 19, b"\4"))


@pytest.mark.parametrize("at", [48, 49, 50])
def test_an_address_length_of_an_entry_that_overruns_the_part_is_malformed(at: int) -> None:
    refusal(with_field(REQUEST, at, b"\xc8"))


def test_double_extensions_and_octets_after_the_end_make_the_packet_malformed() -> None:
    double = replace(request(), extensions=(Extension(3), Extension(3)))
    assert refusal(encode(double)).code == ErrorCode.INVALID_EXTENSION
    tail = REQUEST + b"\x80\0\0\0"
    longer = summed(tail[:10] + struct.pack("!H", len(tail)) + tail[12:])
    assert refusal(longer).code == ErrorCode.INVALID_EXTENSION


# --- error indications ---------------------------------------------------------------------------


def test_an_error_indication_names_code_offset_stations_and_carries_the_packet() -> None:
    packet = error_indication(REQUEST, ErrorCode.AUTHENTICATION_FAILURE, 56, HUB_NBMA, HUB)
    again = decode(encode(packet))
    assert again == packet
    assert (again.type, again.error_code, again.error_offset) == (PacketType.ERROR_INDICATION, 11, 56)
    assert (again.source_nbma, again.source_protocol) == (HUB_NBMA, HUB)
    assert again.destination_protocol == SPOKE
    assert again.payload == REQUEST
    assert again.extensions is None


def test_an_error_indication_about_octets_that_cannot_be_read_has_no_destination() -> None:
    packet = error_indication(b"\xff" * 30, 7, 0, HUB_NBMA, HUB)
    assert packet.destination_protocol is None
    assert decode(encode(packet)) == packet


def test_an_error_indication_carries_576_octets_of_a_long_packet() -> None:
    long = encode(replace(request(), cies=(Cie(),) * 125))
    packet = error_indication(long, 7, 0, HUB_NBMA, HUB)
    assert packet.payload == long[:576]
    assert decode(encode(packet)) == packet


def test_an_error_indication_about_an_ipv6_packet_is_sound() -> None:
    six = IPv6Address("fd00::11")
    about = encode(
        replace(request(), protocol_type=PROTOCOL_IPV6, source_protocol=six, destination_protocol=six)
    )
    packet = error_indication(about, 11, 0, HUB_NBMA, HUB)
    assert decode(encode(packet)) == packet
    assert packet.destination_protocol is None


def test_an_extension_is_found_by_its_type() -> None:
    packet = replace(request(), extensions=(Extension(3), authentication("x")))
    assert packet.extension(7) == authentication("x")
    assert packet.extension(9) is None
    assert replace(packet, extensions=None).extension(7) is None


def test_addresses_come_back_as_addresses() -> None:
    packet = decode(REQUEST)
    assert packet.source_protocol == IPv4Address("10.0.0.11")
    assert packet.cies == (ENTRY,)
