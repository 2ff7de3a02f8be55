"""Spokes of two regional hubs under a central one: three servers pass on what makes and ends a shortcut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from dmvpn_lab.render.nft import redirect
from tests.live.agents import HUB_NBMA, Router, World, gateway_of, tunnel, world
from tests.live.namespaces import wire
from tests.live.pair import Pair

pytestmark = pytest.mark.live
ONE, TWO = "10.1.0.11", "10.2.0.12"
WAYS = [(a, b) for a in ("tunnel0", "tunnel1") for b in ("tunnel0", "tunnel1")]
RULES = "\n".join(["table inet shorter {", *redirect(WAYS), "}", ""])


@dataclass
class Regions(Pair):
    """One spoke of each region, and the hub above them."""

    central: Router


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Regions]:
    with world(tmp_path) as made:
        yield started(made)


def started(made: World) -> Regions:
    central = made.hub(redirect=True)
    central.netns.run("nft", "-f", "-", text=RULES)
    hubs = [regional(made, number) for number in (1, 2)]
    spokes = []
    for number in (1, 2):
        server = f"10.{number}.0.1"
        maps = [{"protocol": server, "nbma": f"172.20.{number}.1"}]
        spokes.append(made.spoke(number, resolve=True, shortcut=True, address=f"10.{number}.0.1{number}/24",
                                 nhs=[server], map=maps, map_multicast=[f"172.20.{number}.1"]))  # fmt: skip
    one, two = spokes
    hosts = one.lan(1), two.lan(2)
    central.start()
    for hub in hubs:
        hub.start().wait("registered")
    controls = one.start(), two.start()
    for number, control in enumerate(controls, 1):
        control.wait("registered")
        below, above = f"10.{number}.0.1{number}", f"10.0.0.{number + 1}"
        spokes[number - 1].netns.route(f"10.{number}.0.1", IPv4Network("192.168.0.0/16"))
        hubs[number - 1].netns.route(below, IPv4Network(f"192.168.{number}.0/24"))
        for network in ("192.168.0.0/16", "10.0.0.0/8"):
            hubs[number - 1].netns.route("10.0.0.1", IPv4Network(network))
        for network in (f"192.168.{number}.0/24", f"10.{number}.0.0/24"):
            central.netns.route(above, IPv4Network(network))
    return Regions((one, two), hosts, controls, central)


def regional(made: World, number: int) -> Router:
    """A hub to its spokes, and a spoke of the central hub by a line of its own."""
    server = {"nhs": ["10.0.0.1"], "map": [{"protocol": "10.0.0.1", "nbma": HUB_NBMA}]}
    up = tunnel(f"10.0.0.{number + 1}/24", name="tunnel1", source="eth2", redirect=True, **server)
    down = tunnel(f"10.{number}.0.1/24", redirect=True, map_multicast_dynamic=True)
    hub = made.add(f"region-{number}", f"172.20.{number}.1/24", down, up)
    wire(made.isp, f"up-{number}", hub.netns, "eth2")
    made.isp.add(f"up-{number}", str(gateway_of(f"172.21.{number}.1/24")))
    hub.netns.add("eth2", f"172.21.{number}.1/24")
    hub.netns.run("nft", "-f", "-", text=RULES)
    return hub


def test_spokes_of_two_regions_meet_directly_and_part_when_a_lan_goes(lab: Regions) -> None:
    lab.ping(60)
    lab.controls[0].wait("resolved", protocol=TWO, nbma="172.16.2.1")
    lab.controls[0].wait("shortcut-added", prefix="192.168.2.0/24", via=TWO)
    lab.controls[1].wait("shortcut-added", prefix="192.168.1.0/24", via=ONE)
    assert lab.gateway() == TWO
    lab.spokes[1].netns.ip("link set lan down")
    lab.controls[0].wait("shortcut-removed", prefix="192.168.2.0/24", reason="purged")
    assert lab.gateway() == "10.1.0.1"
    lab.controls[1].until("received-purge-reply", 1)


def test_what_they_send_each_other_needs_no_hub(lab: Regions) -> None:
    lab.ping(60)
    lab.controls[0].wait("shortcut-added", via=TWO)
    lab.controls[1].wait("shortcut-added", via=ONE)
    lab.central.netns.ip("link set tunnel0 down")
    lab.ping(10)
