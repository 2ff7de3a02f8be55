"""Look: what the routers know, and what a command in a node prints."""

from __future__ import annotations

import pytest

from dmvpn_lab.testing import LiveLab

pytestmark = pytest.mark.live


def test_the_lab_is_verified(dmvpn_lab: LiveLab) -> None:
    results = dmvpn_lab.verify()
    assert {result.name for result in results} >= {"registration", "multicast", "adjacency", "reachability"}


def test_the_hub_knows_where_each_spoke_is(dmvpn_lab: LiveLab) -> None:
    cache = {entry["protocol"]: entry["nbma"] for entry in dmvpn_lab.show("hub", "nhrp")}
    assert cache == {"10.0.0.11": "172.16.1.1", "10.0.0.12": "172.16.2.1"}


def test_a_spoke_is_registered_with_its_next_hop_server(dmvpn_lab: LiveLab) -> None:
    (nhs,) = dmvpn_lab.show("spoke-a", "nhs")
    assert (nhs["protocol"], nhs["state"]) == ("10.0.0.1", "registered")


def test_the_hub_sends_multicast_to_both_spokes(dmvpn_lab: LiveLab) -> None:
    assert {peer["nbma"] for peer in dmvpn_lab.show("hub", "multicast")} == {"172.16.1.1", "172.16.2.1"}


def test_a_host_behind_one_spoke_reaches_a_host_behind_the_other(dmvpn_lab: LiveLab) -> None:
    answer = dmvpn_lab.exec("host-1", "ping", "-c", "1", "-W", "2", "192.168.2.2")
    assert answer.exit_code == 0, answer.stdout


def test_the_underlay_has_no_route_to_a_lan(dmvpn_lab: LiveLab) -> None:
    destinations = {route["dst"] for route in dmvpn_lab.show("isp", "routes")}
    assert destinations == {"172.17.0.0/24", "172.16.1.0/24", "172.16.2.0/24"}
