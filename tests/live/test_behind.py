"""A LAN behind a spoke goes while the spoke stays: shortcuts to it end at once, whatever routing says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from dmvpn_lab.render.nft import NFLOG_GROUP, redirect
from tests.live.agents import HUB_NBMA, Control, Router, World, world
from tests.live.namespaces import Netns
from tests.live.nhrpd import Nhrpd, eventually

pytestmark = pytest.mark.live

ONE, TWO = "10.0.0.11", "10.0.0.12"
NEAR, FAR = "192.168.1.2", "192.168.2.2"
LANS, LAN = IPv4Network("192.168.0.0/16"), "192.168.2.0/24"
RULES = "\n".join(["table inet shorter {", *redirect([("tunnel0", "tunnel0")]), "}", ""])
AT_ONCE_S = 5.0
"""Much longer than it takes, much shorter than the 600 s that the answer would hold."""


@dataclass
class Pair:
    """Two spokes of ours with a LAN each, that have met."""

    spokes: tuple[Router, Router]
    hosts: tuple[Netns, Netns]
    controls: tuple[Control, Control]

    def ping(self, count: int) -> None:
        """From one LAN to the other, ten a second; none may be lost."""
        said = self.hosts[0].run("ping", "-n", "-i", "0.1", "-c", str(count), "-W", "3", FAR)
        assert ", 0% packet loss" in said, said

    def gateway(self) -> str:
        """Where spoke one sends what its host sends to the other."""
        words = f"-json route get {FAR} from {NEAR} iif lan"
        return str(json.loads(self.spokes[0].netns.ip(words))[0]["gateway"])


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


def met(made: World) -> Pair:
    """At our hub."""
    hub = made.hub(redirect=True, authentication="secret")
    at_hub = hub.start()
    pair = spokes(made, hub)
    for number, via in ((1, ONE), (2, TWO)):
        at_hub.wait("peer-registered")
        hub.netns.route(via, IPv4Network(f"192.168.{number}.0/24"))
    return shortened(pair)


def met_at_theirs(made: World) -> Pair:
    """At nhrpd, which knows no purge of its own but passes ours on."""
    hub = made.add("hub", f"{HUB_NBMA}/24")
    lines = ["ip nhrp holdtime 600", "ip nhrp redirect", "ip nhrp shortcut", "ip nhrp authentication secret"]
    theirs = Nhrpd(hub, "10.0.0.1", *lines, group=NFLOG_GROUP)
    pair = spokes(made, hub)
    for number, via in ((1, ONE), (2, TWO)):
        eventually(lambda via=via: via in theirs.cache(), theirs.cache)  # type: ignore[misc]
        hub.netns.ip(f"route add 192.168.{number}.0/24 via {via} dev tunnel0 onlink")
    return shortened(pair)


def spokes(made: World, hub: Router) -> Pair:
    """Each has a summary for everybody's LANs: routing does not say when one goes."""
    hub.netns.run("nft", "-f", "-", text=RULES)
    roles = {"resolve": True, "shortcut": True, "authentication": "secret"}
    one, two = made.spoke(1, **roles), made.spoke(2, **roles)
    hosts, controls = (one.lan(1), two.lan(2)), (one.start(), two.start())
    for router, control in zip((one, two), controls, strict=True):
        control.wait("registered", patience_s=60)
        router.netns.route("10.0.0.1", LANS)
    return Pair((one, two), hosts, controls)


def shortened(pair: Pair) -> Pair:
    pair.ping(30)
    pair.controls[0].wait("shortcut-added", patience_s=60, prefix=LAN, via=TWO)
    assert pair.gateway() == TWO
    return pair


def port_down(pair: Pair) -> None:
    pair.spokes[1].netns.ip("link set lan down")


def cable_out(pair: Pair) -> None:
    pair.hosts[1].ip("link set eth0 down")


def address_gone(pair: Pair) -> None:
    pair.spokes[1].netns.remove("lan", "192.168.2.1/24")


def half_goes_elsewhere(pair: Pair) -> None:
    pair.spokes[1].netns.route("10.0.0.1", IPv4Network("192.168.2.0/25"))


@pytest.mark.parametrize("ends", [port_down, cable_out, address_gone, half_goes_elsewhere])
def test_shortcuts_to_a_lan_that_goes_end_at_once(made: World, ends: Callable[[Pair], None]) -> None:
    pair = met(made)
    began = time.time()
    ends(pair)
    pair.controls[1].wait("purge-sent", protocol=LAN, to=ONE, patience_s=AT_ONCE_S)
    gone = pair.controls[0].wait("shortcut-removed", prefix=LAN, reason="purged", patience_s=AT_ONCE_S)
    assert pair.gateway() == "10.0.0.1"
    print(f"{ends.__name__}: {gone['at'] - began:.3f} s from the LAN's end to that of the shortcut")
    assert pair.controls[1].counter("received-purge-reply") == 1  # it came back through the hub


def test_a_lan_that_comes_back_is_found_again(made: World) -> None:
    pair = met(made)
    port_down(pair)
    pair.controls[0].wait("shortcut-removed", prefix=LAN, patience_s=AT_ONCE_S)
    pair.spokes[1].netns.ip("link set lan up")
    pair.ping(150)  # longer than the hub is silent about a destination that it has told of
    pair.controls[0].wait("shortcut-added", prefix=LAN, via=TWO)
    assert pair.gateway() == TWO


def test_at_nhrpd_as_hub_shortcuts_end_with_the_lan(made: World) -> None:
    pair = met_at_theirs(made)
    port_down(pair)
    pair.controls[0].wait("shortcut-removed", prefix=LAN, reason="purged", patience_s=AT_ONCE_S)
    assert pair.gateway() == "10.0.0.1"


def test_at_nhrpd_as_hub_shortcuts_follow_a_spoke_that_moves(made: World) -> None:
    """nhrpd itself would let the old answer run out."""
    pair = met_at_theirs(made)
    pair.spokes[1].move("172.16.2.1/24", "172.16.2.9/24")
    pair.controls[0].wait("shortcut-removed", prefix=LAN, reason="purged", patience_s=AT_ONCE_S)
    pair.controls[1].wait("registered", nbma="172.16.2.9", patience_s=60)
    pair.hosts[0].run("ping", "-n", "-i", "0.1", "-c", "150", "-W", "3", FAR)
    pair.controls[0].wait("resolved", protocol=TWO, nbma="172.16.2.9", patience_s=60)
    pair.ping(10)
