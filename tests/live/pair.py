"""Two spokes of ours with a LAN each that have met: a shortcut leads from the one to the other."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import IPv4Network

from dmvpn_lab.render.nft import NFLOG_GROUP, redirect
from tests.live.agents import HUB_NBMA, Control, Router, World
from tests.live.namespaces import Netns
from tests.live.nhrpd import Nhrpd, eventually

ONE, TWO = "10.0.0.11", "10.0.0.12"
NEAR, FAR = "192.168.1.2", "192.168.2.2"
LANS, LAN = IPv4Network("192.168.0.0/16"), "192.168.2.0/24"
RULES = "\n".join(["table inet shorter {", *redirect([("tunnel0", "tunnel0")]), "}", ""])


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
