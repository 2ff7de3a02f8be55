"""Client information entries: fields, lengths, several in a row, and where they break."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.buffer import Reader
from dmvpn_lab.nhrp.cie import Cie, decode_cie, decode_cies, encode_cie

FULL = Cie(
    code=14,
    prefix_length=24,
    mtu=1400,
    holding_time_s=300,
    nbma=IPv4Address("172.16.1.1"),
    protocol=IPv4Address("10.0.0.11"),
    preference=200,
    nbma_subaddress=b"\xde\xad",
    unused=0x1234,
)
FULL_OCTETS = bytes.fromhex("0e181234 0578012c 040204c8 ac100101 dead 0a00000b")


def reader(data: bytes) -> Reader:
    return Reader(data, 0, len(data))


def test_every_field_stands_where_the_rfc_draws_it() -> None:
    assert encode_cie(FULL) == FULL_OCTETS
    assert decode_cie(reader(FULL_OCTETS)) == FULL


def test_an_entry_without_addresses_is_twelve_octets() -> None:
    assert encode_cie(Cie()) == bytes.fromhex("00ff0000 00000000 00000000")
    empty = decode_cie(reader(bytes(12)))
    assert (empty.nbma, empty.protocol, empty.prefix_length) == (None, None, 0)


@pytest.mark.parametrize(
    "entry",
    [
        Cie(nbma=IPv6Address("2001:db8::1"), protocol=IPv6Address("fd00::1")),
        Cie(nbma=b"\1\2\3", protocol=b"\4" * 20),
        Cie(code=200, prefix_length=7),
    ],
)
def test_other_families_odd_lengths_and_unknown_codes_are_kept(entry: Cie) -> None:
    assert decode_cie(reader(encode_cie(entry))) == entry


def test_entries_are_read_up_to_the_end_in_their_order() -> None:
    entries = (FULL, Cie(), Cie(code=5))
    assert decode_cies(reader(b"".join(map(encode_cie, entries)))) == entries
    assert decode_cies(reader(b"")) == ()


@pytest.mark.parametrize("size", range(1, len(FULL_OCTETS)))
def test_an_entry_cut_at_any_octet_is_malformed(size: int) -> None:
    with pytest.raises(DecodeError):
        decode_cies(reader(FULL_OCTETS[:size]))


@pytest.mark.parametrize("at", [8, 9, 10])
def test_an_address_length_that_overruns_the_part_is_malformed(at: int) -> None:
    broken = FULL_OCTETS[:at] + b"\xff" + FULL_OCTETS[at + 1 :]
    with pytest.raises(DecodeError, match="octets expected"):
        decode_cies(reader(broken))


def test_fifteen_hundred_octets_of_entries_are_read_one_by_one() -> None:
    assert len(decode_cies(reader(encode_cie(Cie(mtu=1)) * 125))) == 125
