"""The client and what is wrong: error indications and replies without the secret."""

from __future__ import annotations

import pytest

from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.nhc import State
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER_NBMA, SPOKE, TUNNEL
from tests.unit.nhrp.registering import answer, started, state
from tests.unit.nhrp.seen import reply


def error_about(request: Packet, code: int) -> bytes:
    return encode(
        Packet(
            PacketType.ERROR_INDICATION,
            request_id=code << 16,
            source_nbma=HUB_NBMA,
            source_protocol=HUB,
            destination_protocol=SPOKE,
            payload=encode(request),
            extensions=None,
        )
    )


def test_an_error_from_the_server_is_noted_and_never_answered() -> None:
    spoke, request = started()
    assert spoke.receive(TUNNEL, error_about(request, 11), HUB_NBMA, 0.1) == []
    assert spoke.nhs(0.1)[0]["last_error"] == "error indication, code 11"
    assert spoke.counters()[TUNNEL]["error-received-code-11"] == 1
    assert state(spoke) is State.REGISTERING


def test_an_error_from_anybody_else_is_only_counted() -> None:
    spoke, request = started()
    assert spoke.receive(TUNNEL, error_about(request, 11), OTHER_NBMA, 0.1) == []
    assert spoke.nhs(0.1)[0]["last_error"] is None


def test_a_flood_of_odd_error_codes_makes_one_counter() -> None:
    spoke, request = started()
    for code in range(1000, 1100):
        spoke.receive(TUNNEL, error_about(request, code), OTHER_NBMA, 0.1)
    counted = {name: n for name, n in spoke.counters()[TUNNEL].items() if name.startswith("error-received")}
    assert counted == {"error-received-code-unknown": 100}


@pytest.mark.parametrize("extensions", [(), (Extension(3),), (authentication("wrong"),), None])
def test_a_reply_without_the_secret_is_refused(extensions: tuple[Extension, ...] | None) -> None:
    spoke, request = started(authentication="secret")
    actions = spoke.receive(TUNNEL, answer(request, extensions=extensions), HUB_NBMA, 0.1)
    assert reply(actions).error_code == 11
    assert state(spoke) is State.REGISTERING
    assert spoke.counters()[TUNNEL]["bad-authentication"] == 1
