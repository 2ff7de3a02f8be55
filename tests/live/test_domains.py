"""`network-id`: tunnels of a router with equal ids are one NHRP domain; it never goes on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from dmvpn_lab.nhrp.constants import CieCode
from tests.live.agents import HUB_NBMA, Control, Router, World, tunnel, world
from tests.live.speaker import Speaker

pytestmark = pytest.mark.live


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def start(lab: World, first_id: int, second_id: int) -> tuple[Router, Control, Speaker, Speaker]:
    """A hub with two tunnels, and a station on each."""
    hub = lab.add(
        "hub", f"{HUB_NBMA}/24",
        tunnel("10.0.0.1/24", name="tunnel0", key=1, network_id=first_id, map_multicast_dynamic=True),
        tunnel("10.1.0.1/24", name="tunnel1", key=2, network_id=second_id, map_multicast_dynamic=True),
    )  # fmt: skip
    control = hub.start()
    assert control.wait("agent-ready")["tunnels"] == ["tunnel0", "tunnel1"]
    one = Speaker(lab.add("one", "172.16.1.1/24"), "10.0.0.11/24", key=1)
    two = Speaker(lab.add("two", "172.16.2.1/24"), "10.1.0.12/24", key=2)
    assert one.ask(one.registration()).cies[0].code == CieCode.SUCCESS
    return hub, control, one, two


def test_to_what_registered_on_a_tunnel_with_another_key_the_hub_is_the_way(lab: World) -> None:
    _hub, control, _one, two = start(lab, 7, 7)
    (entry,) = two.ask(two.resolution("10.0.0.11")).cies
    assert (entry.code, entry.nbma) == (CieCode.SUCCESS, IPv4Address(HUB_NBMA))
    assert entry.protocol == IPv4Address("10.1.0.1")
    (bound,) = control.query("nhrp")
    assert (bound["interface"], bound["network_id"]) == ("tunnel0", 7)


def test_what_registered_on_one_tunnel_is_unknown_on_another_of_a_different_id(lab: World) -> None:
    _hub, control, one, two = start(lab, 7, 8)
    answer = two.ask(two.resolution("10.0.0.11"))
    assert (answer.cies[0].code, answer.cies[0].nbma) == (CieCode.NO_BINDING, None)
    assert one.ask(one.resolution("10.0.0.11", number=9)).cies[0].nbma == IPv4Address("172.16.1.1")
    assert [entry["network_id"] for entry in control.query("nhrp")] == [7]


@pytest.mark.parametrize("second_id", [7, 8])
def test_neighbours_and_multicast_peers_stay_on_the_tunnel_of_the_registration(
    lab: World, second_id: int
) -> None:
    hub, control, _one, _two = start(lab, 7, second_id)
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
    assert hub.netns.ip("-4 neigh show dev tunnel1 nud permanent 10.0.0.11") == ""
    assert [(each["interface"], each["nbma"]) for each in control.query("multicast")] == [
        ("tunnel0", "172.16.1.1")
    ]


def test_the_ids_of_hub_and_spoke_need_not_agree(lab: World) -> None:
    hub, spoke = lab.hub(network_id=1), lab.spoke(1, network_id=4242)
    at_hub = hub.start()
    spoke.start().wait("registered")
    (entry,) = at_hub.query("nhrp")
    assert entry["network_id"] == 1


def test_a_spoke_in_two_clouds_registers_in_both(lab: World) -> None:
    hub, control, _one, _two = start(lab, 7, 8)
    nhs = [
        tunnel("10.0.0.13/24", name="tunnel0", key=1, network_id=1, nhs=["10.0.0.1"],
               map=[{"protocol": "10.0.0.1", "nbma": HUB_NBMA}]),
        tunnel("10.1.0.13/24", name="tunnel1", key=2, network_id=2, nhs=["10.1.0.1"],
               map=[{"protocol": "10.1.0.1", "nbma": HUB_NBMA}]),
    ]  # fmt: skip
    spoke = lab.add("both", "172.16.3.1/24", *nhs)
    at_spoke = spoke.start()
    registered = {at_spoke.wait("registered")["interface"] for _each in nhs}
    assert registered == {"tunnel0", "tunnel1"}
    for interface, protocol in (("tunnel0", "10.0.0.13"), ("tunnel1", "10.1.0.13")):
        control.wait("peer-registered", interface=interface, protocol=protocol, nbma="172.16.3.1")
    spoke.ping("10.0.0.1")
    spoke.ping("10.1.0.1")
    assert hub.neighbours()["10.0.0.13"] == "172.16.3.1"
