"""What a topology may say of routing, and what it is told when it may not."""

from __future__ import annotations

import pytest

from dmvpn_lab.errors import TopologyError
from tests.unit.spec.labs import plan

LAB = """
lab: x
clouds: {{red: {{subnet: 10.0.0.0/24, {cloud} routing: {{{routing}}}}}}}
nodes:
  hub: {{nbma: 172.17.1.1/24, clouds: {{red: {{role: hub}}}}}}
  spoke-a: {{nbma: 172.16.1.1/24, clouds: {{red: {{role: spoke}}}}}}
  spoke-b: {{nbma: 172.16.2.1/24, clouds: {{red: {{role: spoke}}}}}}
"""


def refused(routing: str, cloud: str = "") -> list[str]:
    with pytest.raises(TopologyError) as caught:
        plan(LAB.format(routing=routing, cloud=cloud))
    return [f"{each.path}: {each.message}" for each in caught.value.problems]


@pytest.mark.parametrize(
    ("routing", "word"),
    [
        ("protocol: ospf, hold: 9", "hold"),
        ("protocol: ospf, split-horizon: true", "split-horizon"),
        ("protocol: bgp, dead: 20", "dead"),
        ("protocol: rip, asn: 5", "asn"),
        ("protocol: rip, network-type: broadcast", "network-type"),
        ("protocol: none, hello: 5", "hello"),
    ],
)
def test_a_key_that_would_do_nothing_is_refused(routing: str, word: str) -> None:
    protocol = routing.split()[1].rstrip(",")
    said = f"clouds.red.routing.{word}: {word} does nothing with protocol {protocol}"
    assert refused(routing) == [said]


def test_a_neighbour_must_outlive_a_hello() -> None:
    assert refused("protocol: bgp, hello: 9, hold: 9") == [
        "clouds.red.routing.hold: 9 s, with hellos every 9 s"
    ]
    assert refused("hello: 30") == ["clouds.red.routing.dead: 20 s, with hellos every 30 s"]


@pytest.mark.parametrize(
    ("routing", "key"),
    [
        ("network-type: broadcast", "network-type"),
        ("protocol: bgp, next-hop-self: false", "next-hop-self"),
        ("protocol: rip, next-hop-self: false", "next-hop-self"),
    ],
)
def test_a_next_hop_that_is_another_spoke_needs_a_tunnel_to_the_hub_alone(routing: str, key: str) -> None:
    (said,) = refused(routing)
    assert said.startswith(f"clouds.red.routing.{key}: the next hop would be another spoke")
    plan(LAB.format(routing=routing, cloud="spoke-gre: point-to-point,"))


def test_a_router_has_one_bgp_as() -> None:
    text = """
lab: x
clouds:
  red: {subnet: 10.0.0.0/24, key: 1, routing: {protocol: bgp, asn: 65000}}
  blue: {subnet: 10.0.1.0/24, key: 2, routing: {protocol: bgp, asn: 65000, spoke-asn: 65001}}
nodes:
  hub: {nbma: 172.17.1.1/24, clouds: {red: {role: hub}, blue: {role: hub}}}
  spoke: {nbma: 172.16.1.1/24, clouds: {red: {role: spoke}, blue: {role: spoke}}}
"""
    with pytest.raises(TopologyError, match="a different AS in red and blue"):
        plan(text)


def test_the_hold_time_is_three_hellos_and_the_spokes_share_the_hubs_as() -> None:
    routing = plan(LAB.format(routing="protocol: bgp, hello: 7", cloud="")).cloud("red").routing
    assert (routing.dead_s, routing.asn, routing.spoke_asn) == (21, 65000, 65000)


@pytest.mark.parametrize(
    ("routing", "said"),
    [
        ("authentication: md5", "authentication: no key"),
        ("key-string: x", "key-string: key-string without authentication"),
        ("stub: [connected, leak-map]", "stub: leak-map of nothing"),
        ("leak: [10.9.0.0/16]", "leak: no leak map"),
        ("summary: [172.16.0.0/12]", "summary[0]: 172.16.0.0/12 covers the NBMA address 172.17.1.1: "
         "the tunnel would be its own way"),
    ],
)  # fmt: skip
def test_options_of_eigrp_that_do_nothing_or_harm_are_refused(routing: str, said: str) -> None:
    assert refused(f"protocol: eigrp, {routing}") == [f"clouds.red.routing.{said}"]


def test_a_default_route_to_the_spokes_is_no_such_summary() -> None:
    plan(LAB.format(routing="protocol: eigrp, summary: [0.0.0.0/0]", cloud=""))


def test_a_static_route_needs_a_lan_and_a_network_of_its_own() -> None:
    text = LAB.format(routing="protocol: eigrp", cloud="")
    for change, said in (
        ("clouds: {red: {role: hub}}", "nodes.hub.static-routes: static routes to a host without a LAN"),
        ("lan: 192.168.77.1/24, clouds: {red: {role: hub}}",
         "nodes.hub.static-routes[0]: 192.168.77.0/24 overlaps 192.168.77.0/24 of nodes.hub.lan"),
    ):  # fmt: skip
        changed = text.replace("clouds: {red: {role: hub}}", f"static-routes: [192.168.77.0/24], {change}")
        with pytest.raises(TopologyError) as caught:
            plan(changed)
        assert [f"{each.path}: {each.message}" for each in caught.value.problems] == [said]
