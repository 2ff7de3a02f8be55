"""Change the world, and say how long the lab may take. Faults are undone after each test."""

from __future__ import annotations

import pytest

from dmvpn_lab.testing import LiveLab

pytestmark = pytest.mark.live


def test_a_spoke_with_a_new_address_registers_at_once(dmvpn_lab: LiveLab) -> None:
    recovery = dmvpn_lab.address_change("spoke-a", "172.16.1.77/24")
    assert recovery.after_s("registered") < 2
    assert {e["nbma"] for e in dmvpn_lab.show("hub", "nhrp")} == {"172.16.1.77", "172.16.2.1"}


def test_the_fault_of_the_test_before_is_undone(dmvpn_lab: LiveLab) -> None:
    assert dmvpn_lab.faults() == []
    assert {e["nbma"] for e in dmvpn_lab.show("hub", "nhrp")} == {"172.16.1.1", "172.16.2.1"}


def test_the_hub_says_where_the_spoke_was_before(dmvpn_lab: LiveLab) -> None:
    dmvpn_lab.address_change("spoke-b", subnet=True)
    moved = dmvpn_lab.wait_for_event("peer-registered", node="hub", protocol="10.0.0.12")
    assert moved["previous_nbma"] == "172.16.2.1"
    assert moved["nbma"] != "172.16.2.1"


def test_two_spokes_that_swap_addresses_are_told_apart(dmvpn_lab: LiveLab) -> None:
    dmvpn_lab.address_change("spoke-a", swap="spoke-b")
    cache = {entry["protocol"]: entry["nbma"] for entry in dmvpn_lab.show("hub", "nhrp")}
    assert cache == {"10.0.0.11": "172.16.2.1", "10.0.0.12": "172.16.1.1"}
    dmvpn_lab.check("registration", "multicast")
