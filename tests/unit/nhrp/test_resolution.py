"""Resolution requests are answered from the cache."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet
from tests.unit.nhrp.builders import deliver, hub, request
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA
from tests.unit.nhrp.seen import bindings, reply


def resolve(protocol: IPv4Address | IPv6Address, *, flags: int = 0xC800) -> Packet:
    """A question of another spoke: Q, A and S set."""
    return replace(
        request(OTHER, OTHER_NBMA, request_id=9),
        type=PacketType.RESOLUTION_REQUEST,
        flags=flags,
        destination_protocol=protocol,
        cies=(),
    )


def test_a_registered_address_is_resolved_with_the_time_that_is_left() -> None:
    made = hub()
    deliver(made, request(unique=True), now=1.0)
    answer = reply(deliver(made, resolve(SPOKE), OTHER_NBMA, now=101.0))
    assert answer.type == PacketType.RESOLUTION_REPLY
    assert answer.flags == 0xD800  # Q and S copied, A and U set
    assert (answer.request_id, answer.destination_protocol) == (9, SPOKE)
    (entry,) = answer.cies
    assert (entry.code, entry.nbma, entry.protocol) == (0, SPOKE_NBMA, SPOKE)
    assert (entry.holding_time_s, entry.prefix_length) == (200, 32)


def test_an_address_without_binding_is_answered_with_code_12_and_zeroes() -> None:
    for wanted in (OTHER, IPv6Address("::1")):
        packet = resolve(wanted)
        if isinstance(wanted, IPv6Address):
            packet = replace(packet, protocol_type=0x86DD, source_protocol=IPv6Address("::2"))
        (entry,) = reply(deliver(hub(), packet, OTHER_NBMA)).cies
        assert entry == Cie(code=12, prefix_length=0)


def test_a_router_that_is_asked_for_its_own_address_names_itself() -> None:
    (entry,) = reply(deliver(hub(), resolve(HUB), OTHER_NBMA)).cies
    assert (entry.code, entry.nbma, entry.protocol, entry.holding_time_s) == (0, HUB_NBMA, HUB, 300)


def test_a_unique_address_is_wanted_and_the_binding_is_not_unique_code_13() -> None:
    made = hub()
    deliver(made, request(unique=False))
    (entry,) = reply(deliver(made, resolve(SPOKE, flags=0xD800), OTHER_NBMA)).cies
    assert entry == Cie(code=13, prefix_length=0)


def test_a_static_address_is_resolved_with_the_tunnels_holding_time() -> None:
    made = hub(static_maps=((OTHER, OTHER_NBMA),))
    (entry,) = reply(deliver(made, resolve(OTHER), now=500.0)).cies
    assert (entry.nbma, entry.holding_time_s) == (OTHER_NBMA, 300)


def test_a_binding_in_its_last_second_is_not_resolved_with_holding_time_zero() -> None:
    made = hub()
    deliver(made, request(), now=1.0)
    (entry,) = reply(deliver(made, resolve(SPOKE), OTHER_NBMA, now=300.7)).cies
    assert entry.holding_time_s == 1


def test_a_resolution_request_binds_nothing() -> None:
    made = hub()
    entry = Cie(nbma=OTHER_NBMA, protocol=OTHER, holding_time_s=300)
    deliver(made, replace(resolve(SPOKE), cies=(entry,)), OTHER_NBMA)
    assert bindings(made) == {}
