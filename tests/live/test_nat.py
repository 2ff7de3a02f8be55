"""Spokes behind NAT routers, whole: the checks, nothing lost while they meet, another outside address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab

FAR = "192.168.2.2"


@pytest.fixture(scope="module")
def nat(dmvpn_labs: Labs) -> Iterator[LiveLab]:
    with dmvpn_labs.running("nat") as lab:
        yield lab


def test_the_lab_is_whole_and_its_spokes_know_how_they_are_seen(nat: LiveLab) -> None:
    nat.verify()
    seen = {name: nat.show(name, "status")["tunnels"][0]["outside"] for name in ("spoke-a", "spoke-c")}
    assert seen == {"spoke-a": "172.16.1.1", "spoke-c": None}


def test_nothing_is_lost_while_two_spokes_behind_nat_meet_directly(nat: LiveLab) -> None:
    for name in ("spoke-a", "spoke-b"):
        nat.run(nat.lab.query(name, "clear"))
    said = nat.must("host-1", "ping", "-n", "-c", "100", "-i", "0.2", "-W", "3", FAR)
    assert "100 received, 0% packet loss" in said, said
    assert nat.wait_for(lambda: [e for e in nat.show("spoke-a", "nhrp") if "shortcut" in e["flags"]])
    assert nat.events("no-direct-way") == []


def test_a_nat_router_with_another_address_is_found_out_by_the_next_registration(nat: LiveLab) -> None:
    nat.nat_rebind("nat-a")
    moved = nat.wait_for_event(
        "peer-registered", 60, node="hub", protocol="10.0.0.11", previous_nbma="172.16.1.1"
    )
    assert moved["nbma"] == "172.16.1.2"
    nat.check("registration", "reachability")
    nat.undo()
    back = nat.wait_for_event("peer-registered", 60, node="hub", protocol="10.0.0.11", nbma="172.16.1.1")
    assert back["previous_nbma"] == "172.16.1.2"
