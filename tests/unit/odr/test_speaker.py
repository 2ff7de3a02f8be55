"""A hub and its spokes in virtual time."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from dmvpn_lab.odr.actions import Action, InstallRoute, Notify, RemoveRoute, Send
from dmvpn_lab.odr.cdp import Cdp, decode, encode
from dmvpn_lab.odr.config import OdrConfig, TunnelConfig
from dmvpn_lab.odr.speaker import DEFAULT, OdrSpeaker

HUB, A, B = (IPv4Address(f"10.0.0.{n}") for n in (1, 11, 12))
LAN_A, LAN_B = IPv4Network("192.168.1.0/24"), IPv4Network("192.168.2.0/24")


def speaker(address: IPv4Address, lan: IPv4Network, *, hub: bool = False) -> OdrSpeaker:
    tunnel = TunnelConfig("tunnel0", IPv4Interface((address, 24)), hub, 5.0, 15)
    return OdrSpeaker(OdrConfig(f"at-{address}", (tunnel,), (("eth2", IPv4Interface((lan[1], 24))),)))


def up(one: OdrSpeaker) -> list[Action]:
    one.interface_up("eth2", 0.0)
    return one.interface_up("tunnel0", 0.0)


def sent(actions: list[Action]) -> Cdp:
    (send,) = [each for each in actions if isinstance(each, Send)]
    return decode(send.data)


def test_a_spoke_tells_its_lan_and_a_hub_that_it_is_the_default_gateway() -> None:
    said = sent(up(speaker(A, LAN_A)))
    assert (said.prefixes, said.gateway, said.address, said.hold_s) == ((LAN_A,), None, A, 15)
    said = sent(up(speaker(HUB, IPv4Network("192.168.0.0/24"), hub=True)))
    assert (said.prefixes, said.gateway) == ((), HUB)


def test_a_lan_that_is_down_is_not_told_and_its_loss_is_told_at_once() -> None:
    spoke = speaker(A, LAN_A)
    up(spoke)
    spoke.tick(5.0)
    spoke.interface_down("eth2", 6.0)
    assert spoke.deadline() == 6.0
    assert sent(spoke.tick(6.0)).prefixes == ()


def test_the_hub_has_a_route_to_each_lan_until_its_spoke_is_silent_for_the_holding_time() -> None:
    hub = speaker(HUB, IPv4Network("192.168.0.0/24"), hub=True)
    up(hub)
    for address, lan in ((A, LAN_A), (B, LAN_B)):
        actions = hub.receive("tunnel0", encode(Cdp(15, "x", address, prefixes=(lan,))), 1.0)
        assert InstallRoute(lan, (("tunnel0", address),)) in actions
        assert [each.name for each in actions if isinstance(each, Notify)] == ["odr-neighbour-up"]
    assert hub.receive("tunnel0", encode(Cdp(15, "x", B, prefixes=(LAN_B,))), 10.0) == []
    gone = hub.tick(16.0)
    assert RemoveRoute(LAN_A) in gone
    assert RemoveRoute(LAN_B) not in gone


def test_a_route_goes_with_the_packet_that_does_not_name_it() -> None:
    hub = speaker(HUB, IPv4Network("192.168.0.0/24"), hub=True)
    up(hub)
    hub.receive("tunnel0", encode(Cdp(15, "x", A, prefixes=(LAN_A,))), 1.0)
    assert hub.receive("tunnel0", encode(Cdp(15, "x", A)), 2.0) == [RemoveRoute(LAN_A)]


def test_a_spoke_takes_the_default_route_of_its_hubs_and_nothing_else() -> None:
    spoke, second = speaker(A, LAN_A), IPv4Address("10.0.0.2")
    up(spoke)
    assert spoke.receive("tunnel0", encode(Cdp(15, "b", B, prefixes=(LAN_B,))), 1.0)[1:] == []
    one = spoke.receive("tunnel0", encode(Cdp(15, "h", HUB, gateway=HUB)), 1.0)
    assert InstallRoute(DEFAULT, (("tunnel0", HUB),)) in one
    two = spoke.receive("tunnel0", encode(Cdp(15, "g", second, gateway=second)), 2.0)
    assert InstallRoute(DEFAULT, (("tunnel0", HUB), ("tunnel0", second))) in two
    other = spoke.receive("tunnel0", encode(Cdp(15, "g", second, gateway=HUB)), 3.0)
    assert other == [InstallRoute(DEFAULT, (("tunnel0", HUB),))]


def test_a_hub_takes_neither_a_default_route_nor_its_own_networks_from_a_spoke() -> None:
    own = IPv4Network("192.168.0.0/24")
    hub = speaker(HUB, own, hub=True)
    up(hub)
    actions = hub.receive("tunnel0", encode(Cdp(15, "x", A, prefixes=(DEFAULT, own))), 1.0)
    assert [each for each in actions if isinstance(each, InstallRoute)] == []


def test_a_newcomer_is_answered_at_once_and_many_of_them_together() -> None:
    hub = speaker(HUB, IPv4Network("192.168.0.0/24"), hub=True)
    up(hub)
    for number in range(50):
        hub.receive("tunnel0", encode(Cdp(15, "x", IPv4Address("10.0.0.50") + number)), 1.0)
    assert hub.deadline() == 1.0
    assert sent(hub.tick(1.0)).gateway == HUB
    hub.peers_changed("tunnel0", 1.01)
    assert hub.deadline() == 1.1


def test_what_is_malformed_or_from_elsewhere_is_counted_and_nothing_more() -> None:
    hub = speaker(HUB, IPv4Network("192.168.0.0/24"), hub=True)
    up(hub)
    assert hub.receive("tunnel0", b"\2\0junk", 1.0) == []
    assert (
        hub.receive("tunnel0", encode(Cdp(15, "x", IPv4Address("192.0.2.1"), prefixes=(LAN_A,))), 1.0) == []
    )
    assert hub.receive("tunnel0", encode(Cdp(15, "x", HUB, prefixes=(LAN_A,))), 1.0) == []
    assert hub.counters == {"malformed": 1, "not-on-common-subnet": 1, "received": 2, "sent": 1}
    assert hub.neighbours == {}


def test_a_tunnel_that_goes_down_takes_its_routes_along() -> None:
    spoke = speaker(A, LAN_A)
    up(spoke)
    spoke.receive("tunnel0", encode(Cdp(15, "h", HUB, gateway=HUB)), 1.0)
    assert RemoveRoute(DEFAULT) in spoke.interface_down("tunnel0", 2.0)
    assert spoke.deadline() is None
