"""RFC 2332, section 5.1: the fixed header."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.constants import FIXED_HEADER_LENGTH, PacketType
from dmvpn_lab.nhrp.extensions import authentication
from dmvpn_lab.nhrp.packet import HEADER, decode, encode
from tests.unit.nhrp.builders import deliver, hub, request, with_field
from tests.unit.nhrp.deck import SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import packets, reply

SENT = encode(request())


def test_the_fixed_part_is_twenty_octets() -> None:
    assert HEADER.size == FIXED_HEADER_LENGTH == 20


def test_ip_is_coded_as_its_ethertype_with_a_zero_snap() -> None:
    assert SENT[2:9] == b"\x08\x00" + bytes(5)


def test_a_snap_that_does_not_belong_to_the_protocol_is_ignored_on_receipt() -> None:
    made = hub()
    done = made.receive(TUNNEL, with_field(SENT, 4, b"\1\2\3\4\5"), SPOKE_NBMA, 1.0)
    assert len(done) == 1
    assert made.counters()[TUNNEL] == {"received-registration-request": 1}


def test_the_size_counts_the_whole_packet_from_the_header_on() -> None:
    assert int.from_bytes(SENT[10:12], "big") == len(SENT)


@pytest.mark.parametrize("secret", ["even", "odd"])
def test_the_checksum_covers_the_packet_and_pads_an_odd_octet_with_zero(secret: str) -> None:
    data = encode(request(extensions=(authentication(secret),)))
    assert checksum(data + b"\0" * (len(data) % 2)) == 0


def test_an_extension_offset_of_zero_means_no_extensions() -> None:
    data = encode(request(extensions=None))
    assert data[14:16] == b"\0\0"
    assert decode(data).extensions is None


def test_the_extension_offset_is_counted_from_the_first_octet() -> None:
    at = int.from_bytes(SENT[14:16], "big")
    assert SENT[at : at + 2] == b"\x80\x03"


@pytest.mark.parametrize("version", [0, 2, 255])
def test_only_version_one_is_nhrp(version: int) -> None:
    with pytest.raises(DecodeError, match=f"version {version}"):
        decode(with_field(SENT, 16, bytes([version])))


def test_types_have_the_numbers_of_the_rfc() -> None:
    assert [kind.value for kind in PacketType][:7] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("kind", [128, 200, 255])
def test_types_kept_for_research_are_not_understood_and_not_answered(kind: int) -> None:
    made = hub()
    assert made.receive(TUNNEL, encode(request(type=kind)), SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL]["unknown-type"] == 1


def test_a_subaddress_is_of_length_zero_where_the_network_has_none() -> None:
    assert SENT[19] == 0
    assert reply(deliver(hub(), request())).nbma_subaddress == b""


def test_the_two_upper_bits_of_an_address_length_are_no_length() -> None:
    """IPv4 has neither NSAP nor E.164 form: a length with these bits is not one of IPv4."""
    for bits in (0x40, 0x80):
        with pytest.raises(DecodeError):
            decode(with_field(SENT, 18, bytes([bits | 4])))


def test_an_answering_server_sets_the_hop_count_as_in_a_request_of_its_own() -> None:
    assert reply(deliver(hub(), request(hop_count=1))).hop_count == 255


def test_a_hop_count_of_zero_makes_an_error_and_ends_the_packet() -> None:
    (error,) = packets(hub().receive(TUNNEL, encode(request(hop_count=0)), SPOKE_NBMA, 1.0))
    assert (error.type, error.error_code) == (PacketType.ERROR_INDICATION, 15)


def test_a_hop_count_of_zero_in_an_error_makes_none() -> None:
    packet = replace(request(hop_count=0), type=PacketType.ERROR_INDICATION, cies=(), extensions=None)
    assert hub().receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0) == []
