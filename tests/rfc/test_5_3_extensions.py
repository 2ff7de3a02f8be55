"""RFC 2332, sections 5.3 and 5.3.0: the extensions part and its end."""

from __future__ import annotations

import itertools

import pytest

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension
from dmvpn_lab.nhrp.packet import decode, encode
from tests.unit.nhrp.builders import deliver, hub, request
from tests.unit.nhrp.deck import SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import reply


def answered(*extensions: Extension) -> list[tuple[int, bool, bytes]]:
    """The extensions of the reply to a registration request that has these."""
    answer = reply(deliver(hub(), request(extensions=extensions)))
    assert answer.type == PacketType.REGISTRATION_REPLY
    return [(each.type, each.compulsory, each.value) for each in answer.extensions or ()]


def test_the_list_ends_with_a_compulsory_extension_of_type_and_length_zero() -> None:
    assert encode(request())[-4:] == bytes.fromhex("80000000")


def test_a_list_without_an_end_is_no_list() -> None:
    data = encode(request())
    cut = data[:10] + (len(data) - 4).to_bytes(2, "big") + data[12:-4]
    with pytest.raises(DecodeError):
        decode(cut)


@pytest.mark.parametrize("kinds", list(itertools.permutations((4, 5, 9))))
def test_any_order_is_read_and_kept(kinds: tuple[int, ...]) -> None:
    assert [kind for kind, _, _ in answered(*(Extension(kind) for kind in kinds))] == list(kinds)


def test_a_type_occurs_once_but_the_vendors() -> None:
    vendors = (Extension(8, False, b"\0\0\x0cA"), Extension(8, False, b"\0\0\x0cB"))
    assert [value for _, _, value in answered(*vendors)] == [b"\0\0\x0cA", b"\0\0\x0cB"]
    with pytest.raises(DecodeError, match="occurs twice"):
        decode(encode(request(extensions=(Extension(4), Extension(4)))))


@pytest.mark.parametrize("kind", [0x0FFF, 0x1000, 0x1200, 0x3800, 0x3FFF])
def test_an_unknown_extension_comes_back_unchanged_unless_it_is_compulsory(kind: int) -> None:
    assert answered(Extension(kind, False, b"?!")) == [(kind, False, b"?!")]
    made = hub()
    packet = request(extensions=(Extension(kind, True, b"?!"),))
    error = reply(made.receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0))
    assert (error.type, error.error_code) == (PacketType.ERROR_INDICATION, 1)


def test_a_reply_has_no_extension_that_the_request_had_not() -> None:
    assert answered() == []
    assert reply(deliver(hub(), request(extensions=None))).extensions is None
