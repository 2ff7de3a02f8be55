"""RFC 2332, section 5.2.5: the purge request, as a server receives it."""

from __future__ import annotations

from ipaddress import IPv4Address

from dmvpn_lab.nhrp.constants import PacketType
from tests.unit.nhrp.builders import deliver, hub, purge, request
from tests.unit.nhrp.deck import OTHER_NBMA, SPOKE, SPOKE_NBMA
from tests.unit.nhrp.seen import bindings, packets, reply


def test_a_client_ends_its_registration_before_the_holding_time_does() -> None:
    made = hub()
    deliver(made, request())
    deliver(made, purge())
    assert bindings(made) == {}


def test_all_addresses_under_the_prefix_are_dropped() -> None:
    made = hub()
    for last in (8, 15, 16):
        deliver(made, request(IPv4Address(f"10.0.0.{last}")))
    deliver(made, purge(IPv4Address("10.0.0.8"), prefix=29))
    assert set(bindings(made)) == {"10.0.0.16"}


def test_a_reply_comes_also_when_nothing_matched() -> None:
    assert reply(deliver(hub(), purge())).type == PacketType.PURGE_REPLY


def test_the_n_bit_keeps_the_reply_away() -> None:
    assert packets(deliver(hub(), purge(flags=0x8000))) == []


def test_a_binding_of_another_station_is_not_dropped() -> None:
    """The RFC has any purge obeyed; a forged one would cut a spoke off."""
    made = hub()
    deliver(made, request())
    deliver(made, purge(), OTHER_NBMA)
    assert bindings(made) == {str(SPOKE): str(SPOKE_NBMA)}
