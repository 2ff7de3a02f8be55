"""RFC 2332, section 5.2.1: the resolution request, as a server receives it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet
from tests.unit.nhrp.builders import deliver, hub, request
from tests.unit.nhrp.deck import OTHER, OTHER_NBMA, SPOKE
from tests.unit.nhrp.seen import bindings, reply


def ask(of: Agent, flags: int = 0, cies: tuple[Cie, ...] = ()) -> Packet:
    """The answer to a question for the spoke's address."""
    question = request(OTHER, OTHER_NBMA, destination_protocol=SPOKE, flags=flags, cies=cies)
    return reply(deliver(of, replace(question, type=PacketType.RESOLUTION_REQUEST), OTHER_NBMA))


@pytest.mark.parametrize(("registered", "code"), [(True, 0), (False, 13)])
def test_with_the_u_bit_only_a_unique_binding_is_returned(registered: bool, code: int) -> None:
    made = hub()
    deliver(made, request(unique=registered))
    assert ask(made, 0x1000).cies[0].code == code


@pytest.mark.parametrize("registered", [True, False])
def test_without_the_u_bit_any_binding_is_returned(registered: bool) -> None:
    made = hub()
    deliver(made, request(unique=registered))
    assert ask(made, 0).cies[0].code == 0


def test_an_entry_in_the_question_is_allowed_and_not_cached() -> None:
    made = hub()
    deliver(made, request())
    answer = ask(made, 0x0800, (Cie(mtu=1400, holding_time_s=300),))
    assert answer.cies[0].code == 0
    assert set(bindings(made)) == {str(SPOKE)}
