"""The reader never reads past its end, and the checksum is the Internet's."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.buffer import Reader, checksum, to_address, to_octets
from dmvpn_lab.nhrp.constants import ErrorCode


def slow_checksum(data: bytes) -> int:
    """RFC 1071 word by word, as its section 4.1 writes it."""
    data += b"\0" * (len(data) % 2)
    total = 0
    for (word,) in struct.iter_unpack("!H", data):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def test_a_reader_gives_octets_in_order_and_knows_how_many_are_left() -> None:
    reader = Reader(b"abcdef", 1, 5)
    assert reader.octets(2) == b"bc"
    assert reader.left == 2
    assert reader.unpack(struct.Struct("!H")) == (0x6465,)
    assert reader.left == 0


def test_reading_past_the_end_says_where_and_moves_nothing() -> None:
    reader = Reader(b"abcdef", 1, 4)
    with pytest.raises(DecodeError, match=r"4 octets expected, 3 left \(at octet 1\)") as caught:
        reader.octets(4)
    assert (caught.value.code, caught.value.offset) == (ErrorCode.PROTOCOL_ERROR, 1)
    assert reader.octets(3) == b"bcd"


def test_the_end_counts_and_not_the_length_of_the_data() -> None:
    with pytest.raises(DecodeError):
        Reader(b"abcdef", 0, 2).octets(3)


@pytest.mark.parametrize(
    ("octets", "address"),
    [
        (b"", None),
        (b"\x0a\0\0\1", IPv4Address("10.0.0.1")),
        (bytes(15) + b"\1", IPv6Address("::1")),
        (b"\1\2\3", b"\1\2\3"),
    ],
)
def test_an_address_is_what_its_length_says(octets: bytes, address: object) -> None:
    assert to_address(octets) == address
    assert to_octets(to_address(octets)) == octets


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0xFFFF),
        (b"\0\0", 0xFFFF),
        (b"\xff\xff", 0),
        (b"\0\1", 0xFFFE),
        (b"\1", 0xFEFF),
        (bytes.fromhex("0001f203f4f5f6f7"), 0x220D),  # the example of RFC 1071, section 3
    ],
)
def test_the_checksum_of_known_octets(data: bytes, expected: int) -> None:
    assert checksum(data) == expected


@pytest.mark.parametrize("size", [1, 2, 19, 20, 255, 1500])
def test_the_checksum_is_that_of_rfc_1071_word_by_word(size: int) -> None:
    data = bytes((7 * i * i + 251) & 0xFF for i in range(size))
    assert checksum(data) == slow_checksum(data)


def test_one_flipped_bit_changes_the_checksum() -> None:
    data = bytes(range(40))
    for octet in range(40):
        flipped = bytearray(data)
        flipped[octet] ^= 0x10
        assert checksum(bytes(flipped)) != checksum(data)
