"""RFC 2332, section 5.3.4: authentication, in the plaintext form of the field.

Not the RFC's keyed hash: routers in the field send a word and the secret itself.
"""

from __future__ import annotations

import pytest

from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import deliver, hub, request
from tests.unit.nhrp.deck import SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, reply

WRONG = ((), None, (authentication("other"),), (Extension(7),), (authentication("secret2"),))


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6, 8, 9])
@pytest.mark.parametrize("extensions", WRONG)
def test_a_packet_that_fails_is_answered_with_error_11_and_dropped(
    kind: int, extensions: tuple[Extension, ...] | None
) -> None:
    made = hub(authentication="secret")
    cies = request().cies if kind < 7 else ()
    packet = request(type=kind, extensions=extensions, cies=cies)
    error = reply(made.receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0))
    assert (error.type, error.error_code) == (PacketType.ERROR_INDICATION, 11)
    assert made.counters()[TUNNEL]["bad-authentication"] == 1
    assert bindings(made) == {}


def test_an_error_indication_needs_no_secret() -> None:
    made = hub(authentication="secret")
    packet = Packet(PacketType.ERROR_INDICATION, request_id=11 << 16, extensions=None)
    assert made.receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0) == []
    assert "bad-authentication" not in made.counters()[TUNNEL]


def test_it_is_made_anew_at_each_hop() -> None:
    answer = reply(deliver(hub(authentication="secret"), request(extensions=(authentication("secret"),))))
    assert answer.extension(7) == authentication("secret")


def test_without_a_secret_of_its_own_a_server_takes_everyone() -> None:
    done = deliver(hub(), request(extensions=(authentication("whatever"),)))
    assert reply(done).cies[0].code == 0
