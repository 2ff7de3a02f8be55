"""RFC 2332, section 5.2.7: the error indication."""

from __future__ import annotations

import struct

import pytest

from dmvpn_lab.nhrp.actions import SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.constants import ErrorCode, PacketType
from dmvpn_lab.nhrp.extensions import Extension
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import hub, request, with_field
from tests.unit.nhrp.deck import HUB, HUB_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings

STRANGE = encode(request(extensions=(Extension(3), Extension(0x1000, True, b"abc"))))


def answer(data: bytes, to: Agent | None = None) -> bytes:
    """The error indication that a packet gets, as octets."""
    done = (to or hub()).receive(TUNNEL, data, SPOKE_NBMA, 1.0)
    (sent,) = [action.data for action in done if isinstance(action, SendPacket)]
    return sent


def test_codes_have_the_numbers_of_the_rfc() -> None:
    assert [code.value for code in ErrorCode] == [1, 3, 6, 7, 8, 9, 10, 11, 15]


def test_the_mandatory_part_is_laid_out_as_drawn() -> None:
    sent = answer(STRANGE)
    assert sent[17] == 7
    lengths, unused, code, _offset = struct.unpack_from("!2sHHH", sent, 20)
    assert (lengths, unused, code) == (b"\4\4", 0, 1)
    assert sent[28:40] == HUB_NBMA.packed + HUB.packed + SPOKE.packed
    assert sent[40:] == STRANGE


def test_the_offset_names_the_octet_that_was_wrong() -> None:
    extensions_at = struct.unpack_from("!H", STRANGE, 14)[0]
    assert struct.unpack_from("!H", answer(STRANGE), 26) == (extensions_at + 4,)
    assert struct.unpack_from("!H", answer(encode(request(hop_count=0))), 26) == (9,)


def test_there_are_no_extensions_in_it() -> None:
    assert answer(STRANGE)[14:16] == b"\0\0"


def test_it_ends_the_packet_that_it_is_about() -> None:
    made = hub()
    answer(STRANGE, made)
    assert bindings(made) == {}


def test_there_is_one_for_a_packet_though_much_is_wrong_with_it() -> None:
    made = hub(authentication="secret")
    packet = request(hop_count=0, extensions=(Extension(0x1000, True),))
    answer(encode(packet), made)
    assert sum(n for name, n in made.counters()[TUNNEL].items() if name.startswith("error-sent")) == 1


@pytest.mark.parametrize("about", [b"", STRANGE, b"\xff" * 600])
def test_it_never_answers_another_one(about: bytes) -> None:
    packet = Packet(PacketType.ERROR_INDICATION, hop_count=0, extensions=(Extension(0x1000),), payload=about)
    assert hub(authentication="secret").receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0) == []


def test_octets_that_are_no_packet_are_not_answered() -> None:
    """The RFC has code 7 for them. Whoever sends them learns nothing and cannot use us to send."""
    made = hub()
    for broken in (STRANGE[:-1], with_field(STRANGE, 16, b"\2"), STRANGE[:-1] + b"\1"):
        assert made.receive(TUNNEL, broken, SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL] == {"bad-checksum": 1, "malformed": 2}
