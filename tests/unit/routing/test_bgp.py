"""BGP by FRR: what is rendered for it, and what it prints."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest

from dmvpn_lab.routing.base import Adjacency
from dmvpn_lab.routing.bgp import Bgp, configuration
from tests.unit.spec.labs import bundled, plan

FRR_10_3 = """{
"ipv4Unicast":{
  "routerId":"10.0.0.1",
  "as":65000,
  "vrfName":"default",
  "peerGroupCount":1,
  "peers":{
    "10.0.0.11":{
      "dynamicPeer":true,
      "hostname":"spoke-a",
      "remoteAs":65000,
      "msgRcvd":116,
      "pfxRcd":1,
      "pfxSnt":3,
      "state":"Established",
      "peerState":"OK",
      "idType":"ipv4"
    },
    "10.0.0.12":{
      "remoteAs":65000,
      "state":"Connect",
      "peerState":"OK",
      "idType":"ipv4"
    }
  },
  "totalPeers":2
},
"ipv6Unicast":{
  "peers":{
    "2001:db8::11":{"remoteAs":65000, "state":"Established", "peerState":"OK", "idType":"ipv6"}
  },
  "totalPeers":1
}
}
"""
"""The deck's hub with IPv6, `show bgp summary json` of FRR 10.3, shortened; the second peer's state
was set back."""

HUB = """\
hostname hub
!
router bgp 65000
 bgp router-id 10.0.0.1
 no bgp default ipv4-unicast
 no bgp ebgp-requires-policy
 bgp listen limit 5000
 neighbor dmvpn peer-group
 neighbor dmvpn remote-as 65000
 neighbor dmvpn timers 5 15
 bgp listen range 10.0.0.0/24 peer-group dmvpn
 address-family ipv4 unicast
  network 192.168.0.0/24
  neighbor dmvpn activate
  neighbor dmvpn route-reflector-client
  neighbor dmvpn next-hop-self force
 exit-address-family
!
"""

EXTERNAL = """
lab: x
clouds: {red: {subnet: 10.0.0.0/24, spoke-gre: point-to-point, routing:
  {protocol: bgp, asn: 65000, spoke-asn: 65001, hello: 2, hold: 7, next-hop-self: false}}}
nodes:
  hub: {nbma: 172.17.1.1/24, lan: 192.168.10.1/24, clouds: {red: {role: hub}}}
  spoke-a: {nbma: 172.16.1.1/24, lan: 192.168.1.1/24, clouds: {red: {role: spoke}}}
  spoke-b: {nbma: 172.16.2.1/24, clouds: {red: {role: spoke}}}
"""


def test_peers_are_read_as_frr_prints_them() -> None:
    assert Bgp().parse(FRR_10_3) == (
        Adjacency(IPv4Address("10.0.0.11"), "Established", True),
        Adjacency(IPv4Address("10.0.0.12"), "Connect", False),
        Adjacency(IPv6Address("2001:db8::11"), "Established", True),
    )


@pytest.mark.parametrize(
    "output", ["", "[]", "% BGP instance not found", '{"ipv4Unicast": {"peers": {"10.0.0.1": {}}}}']
)
def test_what_is_no_list_of_peers_is_a_value_error(output: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Bgp().parse(output)


IPV6_SPOKE = """\
 neighbor 10.0.0.1 remote-as 65000
 neighbor 10.0.0.1 timers 5 15
 neighbor 10.0.0.1 timers connect 5
 neighbor 2001:db8::1 remote-as 65000
 neighbor 2001:db8::1 timers 5 15
 neighbor 2001:db8::1 timers connect 5
 address-family ipv4 unicast
  network 192.168.1.0/24
  neighbor 10.0.0.1 activate
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:101::/64
  neighbor 2001:db8::1 activate
 exit-address-family
!
"""


def test_ipv6_has_sessions_of_its_own_between_ipv6_tunnel_addresses() -> None:
    lab = bundled("ipv6")
    assert configuration(lab, lab.node("spoke-a")).endswith(IPV6_SPOKE)
    hub = configuration(lab, lab.node("hub"))
    assert " bgp listen range 2001:db8::/64 peer-group dmvpn-ipv6\n" in hub
    assert (
        " address-family ipv6 unicast\n  network 2001:db8:100::/64\n  neighbor dmvpn-ipv6 activate\n" in hub
    )


def test_the_hub_reflects_routes_to_whoever_comes_from_the_tunnel_subnet() -> None:
    lab = bundled("hub-and-spoke-bgp")
    assert configuration(lab, lab.node("hub")) == HUB


def test_a_spoke_speaks_to_its_hub_only() -> None:
    lab = bundled("hub-and-spoke-bgp")
    text = configuration(lab, lab.node("spoke-a"))
    assert [line.split()[1] for line in text.splitlines() if line.startswith(" neighbor")] == ["10.0.0.1"] * 3
    assert "  network 192.168.1.0/24\n" in text


def test_with_an_as_of_the_spokes_own_it_is_ebgp_and_the_hub_writes_over_it() -> None:
    lab = plan(EXTERNAL)
    hub, spoke = configuration(lab, lab.node("hub")), configuration(lab, lab.node("spoke-a"))
    assert "router bgp 65000\n" in hub
    assert " neighbor red remote-as 65001\n" in hub
    assert "  neighbor red as-override\n" in hub
    assert "route-reflector" not in hub
    assert "next-hop-self" not in hub
    assert "router bgp 65001\n" in spoke
    assert " neighbor 10.0.0.1 remote-as 65000\n neighbor 10.0.0.1 timers 2 7\n" in spoke


def test_the_deadline_lets_an_old_session_time_out() -> None:
    assert Bgp().deadline_s(plan(EXTERNAL).cloud("red")) == 7 + 2 * 2 + 15


def test_spokes_prefer_the_routes_of_the_hub_with_the_lowest_priority() -> None:
    dual = bundled("dual-hub")
    lines = configuration(dual, dual.node("spoke-a")).splitlines()
    weights = [line.split() for line in lines if " weight " in line]
    assert [(words[1], words[3]) for words in weights] == [("10.0.0.1", "999"), ("10.0.0.2", "998")]
    assert "weight" not in configuration(bundled("phase-3"), bundled("phase-3").node("spoke-a"))
