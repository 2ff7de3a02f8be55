"""The UDP checksum of a multicast copy, against known answers and against another algorithm."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmvpn_lab.linux.udp_checksum import complete_udp_checksum, internet_sum

# RFC 1071, section 3: the worked example; its sum is ddf2 (before the complement).
RFC_1071 = bytes.fromhex("0001 f203 f4f5 f6f7")

# A DNS query, 192.168.0.101 -> 192.168.0.1, worked out by hand in 16-bit words:
#   pseudo header c0a8+0065+c0a8+0001+0011+000c = 181d3
#   UDP           d431+0035+000c+0000+0102+0304 = 0d878
#   together 25a4b -> 5a4d, complement a5b2
BY_HAND = bytes.fromhex(
    "45000020 00010000 4011 f8e1 c0a80065 c0a80001"  # IPv4
    "d431 0035 000c 0000 01020304"  # UDP, checksum still empty
)
BY_HAND_CHECKSUM = 0xA5B2

CHECKSUM_AT = 20 + 6


def packet(payload: bytes, *, options: bytes = b"", protocol: int = 17, fragment: int = 0x4000,
           checksum: int = 0, trailer: bytes = b"") -> bytes:  # fmt: skip
    """A datagram 10.0.0.1:520 -> 224.0.0.9:520."""
    header_length = 20 + len(options)
    udp = struct.pack("!HHHH", 520, 520, 8 + len(payload), checksum) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x40 | header_length // 4, 0, header_length + len(udp), 7, fragment,
                     1, protocol, 0, bytes([10, 0, 0, 1]), bytes([224, 0, 0, 9]))  # fmt: skip
    return ip + options + udp + trailer


def reference(data: bytes) -> int:
    """RFC 768, octet by octet and without folding on the way."""
    start = (data[0] & 15) * 4
    length = int.from_bytes(data[start + 4 : start + 6], "big")
    udp = bytearray(data[start : start + length])
    udp[6:8] = bytes(2)
    words = data[12:20] + bytes([0, 17]) + length.to_bytes(2, "big") + bytes(udp)
    total = sum(octet << (8 if place % 2 == 0 else 0) for place, octet in enumerate(words))
    found = 0xFFFF - total % 0xFFFF if total % 0xFFFF else 0
    return found or 0xFFFF


def checksum_of(data: bytes) -> int:
    start = (data[0] & 15) * 4
    return int.from_bytes(data[start + 6 : start + 8], "big")


def test_the_sum_of_the_rfcs_example() -> None:
    assert internet_sum(RFC_1071) == 0xDDF2


def test_an_odd_octet_counts_as_the_upper_half_of_a_word() -> None:
    assert internet_sum(b"\x12\x34\x56") == 0x1234 + 0x5600


def test_a_datagram_gets_the_checksum_that_was_worked_out_by_hand() -> None:
    done = complete_udp_checksum(BY_HAND)
    assert checksum_of(done) == BY_HAND_CHECKSUM
    assert done[:CHECKSUM_AT] + done[CHECKSUM_AT + 2 :] == BY_HAND[:CHECKSUM_AT] + BY_HAND[CHECKSUM_AT + 2 :]


@given(st.binary(max_size=300), st.integers(0, 0xFFFF), st.integers(0, 10).map(lambda n: bytes(4 * n)))
def test_any_datagram_gets_the_checksum_of_the_reference(payload: bytes, before: int, options: bytes) -> None:
    done = complete_udp_checksum(packet(payload, checksum=before, options=options))
    assert checksum_of(done) == reference(packet(payload, options=options))
    assert done == packet(payload, checksum=checksum_of(done), options=options)


@given(st.binary(max_size=99))
def test_a_sum_of_zero_is_sent_as_ffff_and_a_receiver_finds_every_checksum_right(payload: bytes) -> None:
    payload += bytes(len(payload) % 2)
    word = reference(packet(payload + bytes(2)))  # with this word appended, all sums to 0xFFFF
    done = complete_udp_checksum(packet(payload + word.to_bytes(2, "big")))
    assert checksum_of(done) == 0xFFFF


def test_octets_after_the_datagram_are_kept_and_not_summed() -> None:
    bare = complete_udp_checksum(packet(b"hello"))
    assert complete_udp_checksum(packet(b"hello", trailer=b"\xaa" * 7)) == bare + b"\xaa" * 7


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(packet(b"x" * 20, protocol=6, checksum=0x1234), id="TCP"),
        pytest.param(packet(b"x" * 20, fragment=0x2000, checksum=0x1234), id="first fragment"),
        pytest.param(packet(b"x" * 20, fragment=0x0003, checksum=0x1234), id="later fragment"),
        pytest.param(b"\x65" + packet(b"x" * 20, checksum=0x1234)[1:], id="not IPv4"),
        pytest.param(packet(b"x" * 20, checksum=0x1234)[:-1], id="shorter than the UDP length says"),
        pytest.param(packet(b"", checksum=0x1234)[:27], id="half a UDP header"),
        pytest.param(b"", id="nothing"),
        pytest.param(packet(b"")[:19], id="half an IPv4 header"),
        pytest.param(packet(b"x" * 9)[:24] + b"\0\7" + packet(b"x" * 9)[26:], id="UDP length 7"),
    ],
)
def test_what_is_not_one_whole_datagram_is_left_alone(data: bytes) -> None:
    assert complete_udp_checksum(data) == data


@given(st.binary(max_size=120))
def test_no_octets_make_it_fail_or_change_the_length(data: bytes) -> None:
    assert len(complete_udp_checksum(data)) == len(data)


@given(st.binary(min_size=1, max_size=120))
def test_nothing_but_the_two_octets_of_the_checksum_changes(junk: bytes) -> None:
    data = b"\x45" + junk
    done = complete_udp_checksum(data)
    changed = {place for place, octet in enumerate(data) if done[place] != octet}
    assert changed <= {CHECKSUM_AT, CHECKSUM_AT + 1}
