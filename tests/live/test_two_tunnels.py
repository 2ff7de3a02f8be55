"""A hub with two tunnels, each with a NBMA address of its own, and a spoke with a LAN on each."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from dmvpn_lab.render.nft import redirect
from tests.live.agents import HUB_NBMA, Control, Router, World, gateway_of, tunnel, world
from tests.live.namespaces import Netns, wire

pytestmark = pytest.mark.live

SECOND_NBMA = "172.18.0.1"
WAYS = [(a, b) for a in ("tunnel0", "tunnel1") for b in ("tunnel0", "tunnel1")]
"""All of them: what the agent is told of more than a lab's own rules would, it must know better."""
NEAR, FAR = "192.168.1.2", "192.168.2.2"
ONE, TWO = "10.0.0.11", "10.1.0.12"


@dataclass
class Lab:
    """Who is at work."""

    hub: Router
    one: Router
    two: Router
    hosts: list[Netns]
    at_hub: Control
    at_one: Control
    at_two: Control

    def ping(self, count: int) -> None:
        """From the LAN of spoke one to that of spoke two, ten a second; none may be lost."""
        said = self.hosts[0].run("ping", "-n", "-i", "0.1", "-c", str(count), "-W", "3", FAR)
        assert ", 0% packet loss" in said, said

    def gateway(self) -> str:
        """Where spoke one sends what its host sends to the other."""
        words = f"-json route get {FAR} from {NEAR} iif lan"
        return str(json.loads(self.one.netns.ip(words))[0]["gateway"])


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


def started(made: World, *, key: int = 1, network_id: int = 1) -> Lab:
    """`key` and `network_id` are those of the second tunnel; the first has 1 and 1."""
    second = {"key": key, "network_id": network_id}
    roles = {"redirect": True, "map_multicast_dynamic": True}
    hub = made.add(
        "hub", f"{HUB_NBMA}/24", tunnel("10.0.0.1/24", **roles),
        tunnel("10.1.0.1/24", name="tunnel1", source="eth2", **roles, **second),
    )  # fmt: skip
    wire(made.isp, "second", hub.netns, "eth2")
    made.isp.add("second", str(gateway_of(f"{SECOND_NBMA}/24")))
    hub.netns.add("eth2", f"{SECOND_NBMA}/24")
    hub.netns.run("nft", "-f", "-", text="\n".join(["table inet dmvpn {", *redirect(WAYS), "}", ""]))
    one = made.spoke(1, resolve=True, shortcut=True)
    server = {"nhs": ["10.1.0.1"], "map": [{"protocol": "10.1.0.1", "nbma": SECOND_NBMA}]}
    two = made.spoke(2, resolve=True, shortcut=True, address=f"{TWO}/24", **server, **second,
                     map_multicast=[SECOND_NBMA])  # fmt: skip
    hosts = [one.lan(1), two.lan(2)]
    controls = [router.start() for router in (hub, one, two)]
    for control in controls[1:]:
        control.wait("registered")
    for router, nhs in ((one, "10.0.0.1"), (two, "10.1.0.1")):
        router.netns.route(nhs, IPv4Network("192.168.0.0/16"))
    hub.netns.route(ONE, IPv4Network("192.168.1.0/24"))
    hub.netns.route(TWO, IPv4Network("192.168.2.0/24"))
    return Lab(hub, one, two, hosts, *controls)


def test_equal_keys_make_a_shortcut(made: World) -> None:
    lab = started(made)
    lab.ping(30)
    told = lab.at_hub.wait("indication-sent", interface="tunnel0", source=NEAR, destination=FAR)
    assert told["nbma"] == "172.16.1.1"
    lab.at_one.wait("resolved", protocol=TWO, nbma="172.16.2.1")
    lab.at_one.wait("shortcut-added", prefix="192.168.2.0/24", via=TWO)
    lab.at_two.wait("shortcut-added", prefix="192.168.1.0/24", via=ONE)
    assert lab.gateway() == TWO
    for name in ("tunnel0", "tunnel1"):  # the way through the hub is closed
        lab.hub.netns.ip(f"link set {name} down")
    lab.ping(10)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"network_id": 2}, id="different network-ids"),
        pytest.param({"key": 2}, id="different keys"),
    ],
)
def test_two_tunnels_do_not_meet_with(made: World, second: dict[str, int]) -> None:
    lab = started(made, **second)
    lab.ping(30)
    for control in (lab.at_hub, lab.at_one, lab.at_two):
        control.query("nhrp")  # what it had to tell has been told
        told = {event["event"] for event in control.events}
        assert told.isdisjoint({"indication-sent", "resolution-sent", "shortcut-added"}), control.events
    assert lab.gateway() == "10.0.0.1"


@pytest.mark.parametrize("killed", [False, True], ids=["alive", "while its agent is dead"])
def test_what_was_resolved_is_purged_when_it_moves(made: World, *, killed: bool) -> None:
    lab = started(made)
    lab.ping(10)
    lab.at_one.wait("shortcut-added", via=TWO)
    if killed:
        lab.two.end(signal.SIGKILL)
    lab.two.move("172.16.2.1/24", "172.16.2.9/24")
    if killed:
        assert lab.gateway() == TWO  # nobody has told yet
        lab.at_two = lab.two.start()
    lab.at_hub.wait("purge-sent", interface="tunnel0", protocol=TWO, to=ONE)
    lab.at_one.wait("resolution-ended", protocol=TWO, nbma="172.16.2.1", reason="purged")
    assert lab.gateway() == "10.0.0.1"
    lab.at_two.wait("registered", nbma="172.16.2.9")
    lab.ping(120)  # longer than the hub is silent about a destination that it has told of
    lab.at_one.wait("resolved", protocol=TWO, nbma="172.16.2.9")
    lab.at_one.wait("shortcut-added", via=TWO)
    assert lab.gateway() == TWO
