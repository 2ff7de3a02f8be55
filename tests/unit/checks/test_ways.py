"""Whose hosts must reach whose, and by which hops."""

from __future__ import annotations

import pytest

from dmvpn_lab.checks.ways import crossings, pairs_of, path
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.spec.labs import DUAL_HUB, bundled, plan

DECK = bundled("hub-and-spoke-ospf")
JOINED = """
lab: joined
clouds:
  red: {{subnet: 10.0.0.0/24, key: 1, network-id: 1, {red}}}
  blue: {{subnet: 10.1.0.0/24, key: 2, network-id: 1, {blue}}}
nodes:
  hub:
    nbma: 172.17.0.1/24
    clouds: {{red: {{role: hub, address: 10.0.0.1}}, blue: {{role: hub, address: 10.1.0.1{line}}}}}
  spoke-red:
    nbma: 172.16.1.1/24
    lan: 192.168.1.1/24
    clouds: {{red: {{role: spoke, address: 10.0.0.11}}{both}}}
  spoke-blue:
    nbma: 172.16.2.1/24
    lan: 192.168.2.1/24
    clouds: {{blue: {{role: spoke, address: 10.1.0.12}}}}
"""
BGP = "routing: {protocol: bgp}"


def joined(red: str, blue: str, *, line: str = "", both: str = "") -> Plan:
    return plan(JOINED.format(red=red, blue=blue, line=line, both=both))


def crossed(of: Plan) -> list[str]:
    """Each as: where the host is > the hops."""
    return [" > ".join([way.source[0].name, *map(str, way.hops)]) for way in crossings(of)]


def names(of: Plan, cloud: str) -> list[tuple[str, str]]:
    return [(source[0].name, target[0].name) for source, target in pairs_of(of, of.cloud(cloud))]


def test_every_pair_of_the_deck_is_tried_both_ways() -> None:
    assert set(names(DECK, "dmvpn")) == {
        ("spoke-a", "hub"), ("hub", "spoke-a"), ("spoke-b", "hub"), ("hub", "spoke-b"),
        ("spoke-a", "spoke-b"), ("spoke-b", "spoke-a"),
    }  # fmt: skip


def test_routers_without_a_lan_are_left_out() -> None:
    assert all("hub-2" not in pair for pair in names(plan(DUAL_HUB), "dmvpn"))


def test_many_spokes_are_tried_in_a_ring() -> None:
    text = "lab: many\nclouds: {c: {subnet: 10.0.0.0/24}}\nnodes:\n"
    text += "  hub: {nbma: 172.17.0.1/24, lan: 192.168.0.1/24, clouds: {c: {role: hub}}}\n"
    for i in range(1, 11):
        text += f"  s-{i}: {{nbma: 172.16.{i}.1/24, lan: 192.168.{i}.1/24, clouds: {{c: {{role: spoke}}}}}}\n"
    pairs = names(plan(text), "c")
    between = [pair for pair in pairs if "hub" not in pair]
    assert len(pairs) == 20 + 10
    assert sorted(source for source, _ in between) == sorted(target for _, target in between)
    assert all(source != target for source, target in between)


def hops(source: str, target: str) -> list[str]:
    cloud = DECK.cloud("dmvpn")
    near, far = (
        next((n, t) for n in DECK.routers() for t in n.tunnels if n.name == name) for name in (source, target)
    )
    return [str(hop) for hop in path(DECK, cloud, near, far)]


def test_the_path_between_spokes_leads_through_the_hub() -> None:
    assert hops("spoke-a", "spoke-b") == ["192.168.1.1", "10.0.0.1", "10.0.0.12", "192.168.2.2"]
    assert hops("spoke-a", "hub") == ["192.168.1.1", "10.0.0.1", "192.168.0.2"]
    assert hops("hub", "spoke-b") == ["192.168.0.1", "10.0.0.12", "192.168.2.2"]


THROUGH = [
    "spoke-red > 192.168.1.1 > 10.0.0.1 > 10.1.0.12 > 192.168.2.2",
    "spoke-blue > 192.168.2.1 > 10.1.0.1 > 10.0.0.11 > 192.168.1.2",
]
STRAIGHT = [
    "spoke-red > 192.168.1.1 > 10.1.0.12 > 192.168.2.2",
    "spoke-blue > 192.168.2.1 > 10.0.0.11 > 192.168.1.2",
]


@pytest.mark.parametrize("protocol", ["bgp", "eigrp", "ospf", "rip", "odr"])
def test_a_hub_of_two_clouds_is_the_way_between_their_spokes(protocol: str) -> None:
    routing = f"routing: {{protocol: {protocol}}}"
    assert crossed(joined(routing, routing)) == THROUGH


def test_equal_keys_and_phase_3_in_one_domain_make_the_way_straight() -> None:
    three, line = f"phase: 3, {BGP}", ", nbma: 172.18.0.1/24"
    equal = JOINED.replace("key: 2", "key: 1")
    assert crossed(plan(equal.format(red=three, blue=three, line=line, both=""))) == STRAIGHT
    assert crossed(plan(equal.format(red=three, blue=BGP, line=line, both=""))) == THROUGH
    apart = equal.replace("key: 1, network-id: 1", "key: 1, network-id: 2", 1)
    assert crossed(plan(apart.format(red=three, blue=three, line=line, both=""))) == THROUGH


@pytest.mark.parametrize(
    ("red", "blue"),
    [
        (BGP, "routing: {protocol: ospf}"),
        (BGP, "routing: {protocol: none}"),
        ("phase: 2, routing: {protocol: bgp, next-hop-self: false}", BGP),
        (BGP, "phase: 2, routing: {protocol: bgp, next-hop-self: false}"),
        ("routing: {protocol: eigrp}", "routing: {protocol: eigrp, stub: [receive-only]}"),
        ("routing: {protocol: eigrp, stub: [receive-only]}", "routing: {protocol: eigrp}"),
    ],
)
def test_where_one_side_cannot_learn_the_other_nothing_is_tried(red: str, blue: str) -> None:
    assert crossed(joined(red, blue)) == []


def test_a_spoke_of_both_clouds_is_not_tried() -> None:
    assert crossed(joined(BGP, BGP, both=", blue: {role: spoke, address: 10.1.0.11}")) == []


def test_two_domains_that_share_no_hub_are_not_joined() -> None:
    assert crossed(bundled("two-domains")) == []
