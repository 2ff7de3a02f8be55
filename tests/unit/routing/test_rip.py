"""RIP by FRR: what is rendered for it, and what it prints."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from dmvpn_lab.routing.base import Adjacency
from dmvpn_lab.routing.rip import Rip, configuration
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.spec.labs import bundled

FRR_10_3 = """\
Routing Protocol is "rip"
  Sending updates every 5 seconds with +/-50%, next due in 3 seconds
  Timeout after 15 seconds, garbage collect after 10 seconds
  Outgoing update filter list for all interface is not set
  Default version control: send version 2, receive version 2
    Interface        Send  Recv   Key-chain
    eth2             2     2
    tunnel0          2     2
  Routing for Networks:
    eth2
    tunnel0
  Passive Interface(s):
    eth2
  Routing Information Sources:
    Gateway          BadPackets BadRoutes  Distance Last Update
    10.0.0.11                0         0       120   00:00:02
    10.0.0.12                0         0       120   00:00:04
  Distance: (default is 120)
"""
"""The deck's hub, `show ip rip status` of FRR 10.3."""

HUB = """\
hostname hub
!
interface tunnel0
 no ip rip split-horizon
!
router rip
 version 2
 network tunnel0
 timers basic 5 15 10
 route-map dmvpn out tunnel0
 network eth2
 passive-interface eth2
!
route-map dmvpn permit 10
 set ip next-hop 10.0.0.1
!
"""


def changed(lab: Plan, **changes: object) -> Plan:
    clouds = tuple(replace(c, routing=replace(c.routing, **changes)) for c in lab.clouds)  # type: ignore[arg-type]
    return replace(lab, clouds=clouds)


def test_sources_are_read_as_frr_prints_them() -> None:
    assert Rip().parse(FRR_10_3) == (
        Adjacency(IPv4Address("10.0.0.11"), "heard 00:00:02 ago", True),
        Adjacency(IPv4Address("10.0.0.12"), "heard 00:00:04 ago", True),
    )


@pytest.mark.parametrize("output", ["", "% Unknown command", FRR_10_3[:300]])
def test_what_is_no_status_is_a_value_error(output: str) -> None:
    with pytest.raises(ValueError, match="no status"):
        Rip().parse(output)


def test_the_hub_has_no_split_horizon_and_is_the_next_hop() -> None:
    lab = bundled("hub-and-spoke-rip")
    assert configuration(lab, lab.node("hub")) == HUB


def test_the_topology_can_have_split_horizon_and_the_next_hop_of_the_other_spoke() -> None:
    lab = changed(bundled("hub-and-spoke-rip"), split_horizon=True, next_hop_self=False)
    text = configuration(lab, lab.node("hub"))
    assert "split-horizon" not in text
    assert "route-map" not in text
    (_, hub), (_, a), (_, b) = (*lab.members("dmvpn", "hub"), *lab.members("dmvpn", "spoke"))
    lan = IPv4Network("192.168.2.0/24")
    assert not Rip().knows(lab.cloud("dmvpn"), a, b, lan)
    assert Rip().knows(lab.cloud("dmvpn"), a, hub, lan)
    assert Rip().knows(bundled("hub-and-spoke-rip").cloud("dmvpn"), a, b, lan)


def test_a_spoke_announces_its_lan_and_listens_on_the_tunnel() -> None:
    lab = bundled("hub-and-spoke-rip")
    text = configuration(lab, lab.node("spoke-a"))
    assert " network tunnel0\n" in text
    assert " passive-interface eth2\n" in text
    assert "route-map" not in text
