"""RFC 2332, section 5.2.6: the purge reply."""

from __future__ import annotations

from dataclasses import replace

from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import encode
from tests.unit.nhrp.builders import deliver, hub, purge
from tests.unit.nhrp.deck import HUB_NBMA, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import reply


def test_a_reply_is_the_request_with_type_six_and_filled_extensions() -> None:
    asked = purge()
    answer = reply(deliver(hub(), asked))
    assert answer.type == 6
    assert replace(answer, type=5, extensions=asked.extensions) == asked
    responder = answer.extension(3)
    assert responder is not None
    assert [entry.nbma for entry in responder.cies()] == [HUB_NBMA]


def test_a_reply_that_nobody_waits_for_is_ignored() -> None:
    made = hub()
    data = encode(replace(purge(), type=PacketType.PURGE_REPLY))
    assert made.receive(TUNNEL, data, SPOKE_NBMA, 1.0) == []
