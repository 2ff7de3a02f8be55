"""Extensions: order kept, unknown ones kept, doubles and leftovers refused; the secret."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.buffer import Reader
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import ErrorCode, ExtensionType
from dmvpn_lab.nhrp.extensions import (
    Extension,
    authentic,
    authentication,
    decode_extensions,
    encode_extensions,
)

END = bytes.fromhex("80000000")


def read(data: bytes) -> tuple[Extension, ...]:
    return decode_extensions(Reader(data, 0, len(data)))


def refusal(data: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        read(data)
    return caught.value


def test_no_extensions_are_just_the_end_marker() -> None:
    assert encode_extensions(()) == END
    assert read(END) == ()


def test_an_end_marker_without_the_compulsory_bit_is_accepted() -> None:
    assert read(bytes(4)) == ()


def test_type_bits_and_value_stand_where_the_rfc_draws_them() -> None:
    extension = Extension(9, compulsory=False, value=b"", unused_bit=True)
    assert encode_extensions((extension,)) == bytes.fromhex("40090000") + END
    assert encode_extensions((Extension(0x3FFF, True, b"ab"),)) == bytes.fromhex("bfff00026162") + END


def test_order_and_unknown_extensions_are_kept_octet_for_octet() -> None:
    extensions = (
        Extension(9, compulsory=False),
        Extension(0x3801, compulsory=True, value=b"\0\1\2"),
        Extension(4),
        Extension(0x0FFF, compulsory=False, value=b"x", unused_bit=True),
        Extension(3),
    )
    assert read(encode_extensions(extensions)) == extensions


def test_vendor_extensions_may_occur_many_times_and_others_once() -> None:
    vendors = (Extension(8, False, b"a"), Extension(8, False, b"b"))
    assert read(encode_extensions(vendors)) == vendors
    twice = encode_extensions((Extension(4), Extension(5), Extension(4)))
    error = refusal(twice)
    assert (error.code, error.offset) == (ErrorCode.INVALID_EXTENSION, 8)
    assert "extension 4 occurs twice" in error.message


def test_the_compulsory_bit_does_not_make_another_type_of_an_extension() -> None:
    error = refusal(encode_extensions((Extension(4, True), Extension(4, False))))
    assert error.code == ErrorCode.INVALID_EXTENSION


@pytest.mark.parametrize("tail", [b"\0", b"\x80\0\0\0", bytes.fromhex("80030000")])
def test_octets_after_the_end_are_refused(tail: bytes) -> None:
    assert refusal(END + tail).code == ErrorCode.INVALID_EXTENSION


def test_an_end_marker_with_a_value_is_refused() -> None:
    assert refusal(bytes.fromhex("8000000161")).code == ErrorCode.INVALID_EXTENSION


def test_extensions_without_an_end_are_malformed() -> None:
    assert refusal(bytes.fromhex("80030000")).code == ErrorCode.PROTOCOL_ERROR


WHOLE = encode_extensions((Extension(3), authentication("secret"), Extension(9, False, encode_cie(Cie()))))


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_extensions_cut_at_any_octet_are_malformed(size: int) -> None:
    refusal(WHOLE[:size])


@pytest.mark.parametrize("kind", [3, 4, 5, 9])
def test_an_extension_of_entries_with_a_broken_entry_is_an_invalid_extension(kind: int) -> None:
    whole = encode_cie(Cie(nbma=IPv4Address("172.16.1.1")))
    for value in (b"\0", whole[:-1], whole + b"\0"):
        error = refusal(encode_extensions((Extension(kind, True, value),)))
        assert error.code == ErrorCode.INVALID_EXTENSION


def test_the_entries_of_an_extension_can_be_read() -> None:
    entries = (Cie(nbma=IPv4Address("172.17.0.1")), Cie(code=5))
    extension = Extension(ExtensionType.NAT_ADDRESS, False, b"".join(map(encode_cie, entries)))
    assert extension.cies() == entries


def test_the_secret_is_ciscos_word_and_the_plain_octets() -> None:
    assert authentication("CISCO").value == bytes.fromhex("00000001434953434f")
    assert authentication("CISCO").compulsory


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (b"\0\0\0\1secret", True),
        (b"\0\0\0\1Secret", False),
        (b"\0\0\0\1secre", False),
        (b"\0\0\0\1secret\0", False),
        (b"\0\0\0\1", False),
        (b"\0\0\0\2secret", False),
        (b"secret", False),
        (b"", False),
    ],
)
def test_only_the_very_secret_is_accepted(value: bytes, accepted: bool) -> None:
    assert authentic((Extension(3), Extension(7, True, value)), "secret") is accepted


def test_no_secret_is_not_the_secret_and_without_one_everything_goes() -> None:
    assert not authentic((), "secret")
    assert not authentic((Extension(3),), "secret")
    assert authentic((), None)
    assert authentic((authentication("anything"),), None)
