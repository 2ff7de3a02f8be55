"""RFC 2332, section 5.2.2: the resolution reply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import deliver, hub, request
from tests.unit.nhrp.deck import OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import reply


def ask(of: Agent, flags: int = 0, now: float = 1.0, **changes: object) -> Packet:
    """The answer to a question for the spoke's address."""
    question = request(OTHER, OTHER_NBMA, destination_protocol=SPOKE, flags=flags, cies=())
    question = replace(question, type=PacketType.RESOLUTION_REQUEST, **changes)  # type: ignore[arg-type]
    return reply(deliver(of, question, OTHER_NBMA, now))


def known() -> Agent:
    """A hub that knows the spoke since time 0."""
    made = hub()
    deliver(made, request(unique=True, cie=Cie(mtu=1300, holding_time_s=300)), now=0.0)
    return made


@pytest.mark.parametrize("flags", [0x0000, 0x8000, 0x0800, 0x8800, 0xC800])
def test_q_and_s_are_copied_from_the_request(flags: int) -> None:
    assert ask(known(), flags).flags & 0x8800 == flags & 0x8800


def test_a_is_set_because_the_binding_comes_from_a_registration() -> None:
    assert ask(known(), 0x0000).flags & 0x4000


def test_u_is_set_when_the_binding_is_unique() -> None:
    assert ask(known()).flags & 0x1000
    made = hub()
    deliver(made, request(unique=False))
    assert not ask(made).flags & 0x1000


def test_the_holding_time_is_what_is_left_and_not_what_was_registered() -> None:
    assert ask(known(), now=120.0).cies[0].holding_time_s == 180


def test_success_names_the_next_hop() -> None:
    (entry,) = ask(known()).cies
    assert (entry.code, entry.nbma, entry.protocol) == (0, SPOKE_NBMA, SPOKE)


def test_no_binding_is_one_entry_with_code_12_and_zeroes() -> None:
    (entry,) = ask(hub()).cies
    assert encode(Packet(2, cies=(entry,)))[28:40] == b"\x0c" + bytes(11)


def test_extensions_of_the_request_are_in_the_reply_also_those_that_are_not_compulsory() -> None:
    extensions = (Extension(9, False), Extension(0x3FFF, False, b"?"), Extension(5), Extension(4))
    assert ask(known(), extensions=extensions).extensions == extensions


def test_an_unsolicited_reply_is_counted_and_ignored() -> None:
    """The RFC wishes an error 10 as answer. Forged replies would make this agent a reflector."""
    made = hub()
    forged = replace(request(), type=PacketType.RESOLUTION_REPLY)
    assert made.receive(TUNNEL, encode(forged), SPOKE_NBMA, 1.0) == []
    assert made.counters()[TUNNEL]["unknown-reply"] == 1
