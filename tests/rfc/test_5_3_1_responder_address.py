"""RFC 2332, section 5.3.1: the responder address."""

from __future__ import annotations

import pytest

from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension
from tests.unit.nhrp.builders import deliver, hub, request
from tests.unit.nhrp.deck import HUB, HUB_NBMA, SPOKE
from tests.unit.nhrp.seen import reply


@pytest.mark.parametrize(
    "kind", [PacketType.REGISTRATION_REQUEST, PacketType.RESOLUTION_REQUEST, PacketType.PURGE_REQUEST]
)
def test_every_kind_of_reply_names_the_server_where_it_was_asked_for(kind: int) -> None:
    answer = reply(deliver(hub(), request(type=kind)))
    extension = answer.extension(3)
    assert extension is not None
    assert extension.compulsory
    (entry,) = extension.cies()
    assert (entry.code, entry.nbma, entry.protocol) == (0, HUB_NBMA, HUB)
    assert entry.holding_time_s > 0


def test_it_is_not_added_where_it_was_not_asked_for() -> None:
    assert reply(deliver(hub(), request(extensions=(Extension(4),)))).extension(3) is None


def test_the_source_of_the_request_stays_the_source_in_the_reply() -> None:
    assert reply(deliver(hub(), request())).source_protocol == SPOKE
