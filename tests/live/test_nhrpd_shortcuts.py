"""Shortcuts between a spoke of ours and one of FRR's nhrpd, by our hub and by nhrpd's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from dmvpn_lab.render.nft import NFLOG_GROUP, redirect
from tests.live.agents import HUB_NBMA, Control, Router, World, world
from tests.live.namespaces import Netns
from tests.live.nhrpd import Nhrpd, eventually

pytestmark = pytest.mark.live

OURS, THEIRS = "10.0.0.11", "10.0.0.12"
NEAR, FAR = "192.168.1.2", "192.168.2.2"
HOLDING_S = 15
"""Of a shortcut whose end is waited for."""
LANS, TUNNELS = IPv4Network("192.168.0.0/16"), IPv4Network("10.0.0.0/24")
RULES = "\n".join(["table inet shorter {", *redirect([("tunnel0", "tunnel0")]), "}", ""])
"""What a hub of a lab has, too; nhrpd's is to listen to the same group."""


@dataclass
class Pair:
    """One spoke of each kind at one hub, with a host behind each."""

    hub: Router
    at_hub: Control | None
    """Of our hub."""
    spoke: Router
    ours: Control
    router: Router
    theirs: Nhrpd
    host: Netns

    def ping(self, count: int, *, lost: bool = False) -> None:
        """From behind ours to behind theirs, ten a second."""
        said = self.host.run("ping", "-n", "-i", "0.1", "-c", str(count), "-W", "3", FAR)
        assert lost or ", 0% packet loss" in said, said

    def gateway(self) -> str:
        """Where ours sends it."""
        route = json.loads(self.spoke.netns.ip(f"-json route get {FAR} from {NEAR} iif lan"))[0]
        return str(route["gateway"])

    def met(self, theirs_nbma: str = "172.16.2.1", ours_nbma: str = "172.16.1.1") -> None:
        """Wait until each sends straight to the other."""
        self.ours.wait("resolved", patience_s=60, protocol=THEIRS, nbma=theirs_nbma)
        self.ours.wait("shortcut-added", prefix="192.168.2.0/24", via=THEIRS)
        assert self.gateway() == THEIRS
        eventually(lambda: self.theirs.routes().get("192.168.1.0/24") == OURS, self.theirs.routes)
        self.theirs_leads_to(ours_nbma)

    def theirs_leads_to(self, nbma: str) -> None:
        """Wait until theirs has ours, and the host, which nhrpd takes for a neighbour, at that address."""
        for protocol in (OURS, NEAR):
            eventually(lambda p=protocol: self.theirs.cache().get(p) == nbma, self.theirs.cache)  # type: ignore[misc]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


def at_our_hub(made: World, secret: str | None, holding_time_s: int = 600) -> Pair:
    hub = made.hub(redirect=True, authentication=secret)
    at_hub = hub.start()
    pair = spokes(made, hub, at_hub, secret, holding_time_s)
    for number, via in ((1, OURS), (2, THEIRS)):
        at_hub.wait("peer-registered", patience_s=60)
        hub.netns.route(via, IPv4Network(f"192.168.{number}.0/24"))
    return pair


def at_their_hub(made: World, secret: str | None, holding_time_s: int = 600) -> Pair:
    hub = made.add("hub", f"{HUB_NBMA}/24")
    lines = ["ip nhrp holdtime 600", "ip nhrp redirect", "ip nhrp shortcut", *authentication(secret)]
    theirs = Nhrpd(hub, "10.0.0.1", *lines, group=NFLOG_GROUP)
    pair = spokes(made, hub, None, secret, holding_time_s)
    for number, via in ((1, OURS), (2, THEIRS)):
        eventually(lambda via=via: via in theirs.cache(), theirs.cache)  # type: ignore[misc]
        hub.netns.ip(f"route add 192.168.{number}.0/24 via {via} dev tunnel0 onlink")
    return pair


def authentication(secret: str | None) -> list[str]:
    return [] if secret is None else [f"ip nhrp authentication {secret}"]


def spokes(made: World, hub: Router, at_hub: Control | None, secret: str | None, holding_time_s: int) -> Pair:
    """Both registered, or about to be. `holding_time_s` is what each says of itself."""
    hub.netns.run("nft", "-f", "-", text=RULES)
    spoke = made.spoke(1, resolve=True, shortcut=True, authentication=secret, holding_time_s=holding_time_s)
    host = spoke.lan(1)
    ours = spoke.start()
    ours.wait("registered", patience_s=60)
    spoke.netns.route("10.0.0.1", LANS)
    router = made.add("frr-2", "172.16.2.1/24")
    router.lan(2)
    nhs = f"ip nhrp nhs 10.0.0.1 nbma {HUB_NBMA}"
    lines = [f"ip nhrp holdtime {holding_time_s}", "ip nhrp registration no-unique", "ip nhrp shortcut", nhs]
    theirs = Nhrpd(router, THEIRS, *lines, *authentication(secret))
    for network in (TUNNELS, LANS):  # its own address is a /32
        router.netns.ip(f"route add {network} via 10.0.0.1 dev tunnel0 onlink")
    eventually(lambda: "10.0.0.1" in theirs.cache(), theirs.cache)
    return Pair(hub, at_hub, spoke, ours, router, theirs, host)


@pytest.mark.parametrize("secret", [None, "secret"], ids=["open", "authenticated"])
@pytest.mark.parametrize("hub", [at_our_hub, at_their_hub], ids=["our-hub", "their-hub"])
def test_ours_and_theirs_make_shortcuts_to_each_other(made: World, hub: object, secret: str | None) -> None:
    assert callable(hub)
    pair: Pair = hub(made, secret)
    pair.ping(100)
    pair.met()
    pair.hub.netns.ip("link set tunnel0 down")  # the way through the hub is closed
    pair.ping(5)


def test_a_shortcut_to_theirs_follows_when_it_moves(made: World) -> None:
    pair = at_our_hub(made, None)
    pair.ping(30)
    pair.met()
    pair.router.move("172.16.2.1/24", "172.16.2.9/24")
    pair.ours.wait("resolution-ended", patience_s=60, protocol=THEIRS, reason="purged")
    pair.ping(120, lost=True)
    pair.met(theirs_nbma="172.16.2.9")


def test_without_a_purge_a_shortcut_follows_when_its_time_is_over(made: World) -> None:
    """nhrpd sends none as hub, so ours learns where theirs has gone when it asks again."""
    pair = at_their_hub(made, None, HOLDING_S)
    pair.ping(30)
    pair.met()
    pair.router.move("172.16.2.1/24", "172.16.2.9/24")
    pair.ping(300, lost=True)
    pair.ours.wait("resolved", protocol=THEIRS, nbma="172.16.2.9")
    pair.ping(10)


def test_their_shortcut_to_ours_follows_when_its_time_is_over(made: World) -> None:
    """nhrpd does not understand our hub's purge either."""
    pair = at_our_hub(made, None, HOLDING_S)
    pair.ping(30)
    pair.met()
    pair.spoke.move("172.16.1.1/24", "172.16.1.9/24")
    assert pair.at_hub is not None
    pair.at_hub.wait("purge-sent", protocol=OURS, to=THEIRS)
    pair.ping(300, lost=True)
    pair.theirs_leads_to("172.16.1.9")
    pair.ping(10)
