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
