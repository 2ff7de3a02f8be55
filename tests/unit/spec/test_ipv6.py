"""What is decided about IPv6 in the tunnels."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Interface, IPv6Network

from dmvpn_lab.render import agent, nft, node
from dmvpn_lab.spec.plan_types import Route, StaticMap
from tests.unit.spec.labs import bundled, plan

LAB = bundled("ipv6")
HUB_NBMA = IPv4Address("172.17.0.1")
WRITTEN = """
lab: written
clouds:
  dmvpn: {subnet: 10.0.0.0/16, subnet-ipv6: "fd00:1::/96", routing: {protocol: bgp}}
nodes:
  hub:
    nbma: 172.17.0.1/24
    clouds: {dmvpn: {role: hub, address-ipv6: "fd00:1::abcd"}}
  one: {nbma: 172.16.1.1/24, lan: 192.168.1.1/24, lan-ipv6: "fd00:2::2/126", clouds: {dmvpn: {role: spoke}}}
  far: {nbma: 172.16.2.1/24, clouds: {dmvpn: {role: spoke, address: 10.0.255.254}}}
"""


def test_ipv6_addresses_have_the_number_of_the_ipv4_address_as_it_is_written() -> None:
    found = {each.name: [str(o.address) for o in each.tunnels[0].overlays] for each in LAB.routers()}
    assert found == {
        "hub": ["2001:db8::1/64", "fe80::1/64"],
        "spoke-a": ["2001:db8::11/64", "fe80::11/64"],
        "spoke-b": ["2001:db8::12/64", "fe80::12/64"],
    }


def test_a_spoke_maps_and_registers_at_the_hub_in_each_subnet_and_the_hub_in_none() -> None:
    for number, overlay in zip(
        ("2001:db8::1", "fe80::1"), LAB.node("spoke-a").tunnels[0].overlays, strict=True
    ):
        assert overlay.nhs == (IPv6Address(number),)
        assert overlay.static_maps == (StaticMap(IPv6Address(number), HUB_NBMA),)
    assert all(o.nhs == o.static_maps == () for o in LAB.node("hub").tunnels[0].overlays)


def test_a_written_address_is_kept_and_gives_the_link_local_one_its_number() -> None:
    lab = plan(WRITTEN)
    assert [str(o.address) for o in lab.node("hub").tunnels[0].overlays] == [
        "fd00:1::abcd/96",
        "fe80::abcd/64",
    ]
    assert str(lab.node("far").tunnels[0].ipv6) == "fd00:1::6:5534/96"  # number 65534 of the /16
    assert lab.node("one").tunnels[0].overlays[1].nhs == (IPv6Address("fe80::abcd"),)


def test_the_host_behind_a_router_has_ipv6_and_a_default_route_to_it() -> None:
    host = LAB.node("host-1")
    assert host.interfaces[0].ipv6 == IPv6Interface("2001:db8:101::2/64")
    assert Route(IPv6Network("::/0"), IPv6Address("2001:db8:101::1")) in host.routes
    other = plan(WRITTEN).node("host-1")
    assert other.interfaces[0].ipv6 == IPv6Interface("fd00:2::3/126")  # the router has ::2


def test_a_lab_without_ipv6_has_none_anywhere() -> None:
    deck = bundled("phase-3")
    for each in deck.nodes:
        assert all(i.ipv6 is None for i in each.interfaces)
        assert all(t.overlays == () for t in each.tunnels)
        assert 'disable_ipv6": "0' not in node.node(deck, each)
    assert "ip6" not in nft.nft(deck, deck.node("hub"))


def test_segments_of_ipv6_are_20_octets_smaller() -> None:
    rules = nft.nft(LAB, LAB.node("hub"))
    for side in ("iifname", "oifname"):
        assert f'{side} "tunnel0" meta nfproto ipv4 tcp flags syn tcp option maxseg size set 1360' in rules
        assert f'{side} "tunnel0" meta nfproto ipv6 tcp flags syn tcp option maxseg size set 1340' in rules


def test_the_hub_of_phase_3_is_told_of_ipv6_packets_that_go_back_into_the_tunnel() -> None:
    text = WRITTEN.replace("routing: {protocol: bgp}", "phase: 3, routing: {protocol: bgp}")
    lab = plan(text)
    rules = nft.nft(lab, lab.node("hub"))
    assert "update @indicated { ip saddr . ip daddr limit" in rules
    assert "update @indicated6 { ip6 saddr . ip6 daddr limit" in rules
    assert "type ipv6_addr . ipv6_addr;" in rules


def test_routers_forward_ipv6_hosts_have_it_and_the_isp_does_not() -> None:
    def on(name: str) -> tuple[bool, bool]:
        text = node.node(LAB, LAB.node(name))
        return '"net.ipv6.conf.all.disable_ipv6": "0"' in text, '"net.ipv6.conf.all.forwarding": "1"' in text

    assert {name: on(name) for name in ("hub", "spoke-a", "host-1", "isp")} == {
        "hub": (True, True), "spoke-a": (True, True), "host-1": (True, False), "isp": (False, False),
    }  # fmt: skip


def test_with_ipsec_each_address_of_a_router_is_its_identitys() -> None:
    text = WRITTEN.replace(
        "routing: {protocol: bgp}", "routing: {protocol: bgp}, ipsec: {authentication: certificates}"
    )
    lab = plan(text)
    written = agent.agent(lab, lab.node("hub"))
    for address in ("10.0.255.254", "fd00:1::6:5534", "fe80::6:5534"):
        assert f'"{address}": "far.written.test"' in written
