"""A default route for the overlay beside the one to the ISP, in this kernel."""

from __future__ import annotations

import json
from collections import Counter
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from logging import getLogger

import pytest

from dmvpn_lab.daemon.routes import Routes
from dmvpn_lab.linux import rib, shortcut_route
from tests.live.namespaces import Netns

pytestmark = pytest.mark.root
DEFAULT, LAN = IPv4Network("0.0.0.0/0"), IPv4Network("192.168.7.0/24")
ISP, HUB = IPv4Address("192.0.2.254"), IPv4Address("10.0.0.1")
FAR = "198.51.100.9"


@pytest.fixture
def near(pair: tuple[Netns, Netns]) -> Netns:
    """A router with a line to the ISP, a tunnel and a LAN."""
    made, _ = pair
    made.add("near", "192.0.2.1/24")
    made.route(str(ISP))
    for name, address in (("tunnel0", "10.0.0.11/24"), ("lan0", "192.168.1.1/24")):
        made.ip(f"link add {name} type veth peer name {name}-far")
        made.ip(f"addr add {address} dev {name}")
        for end in (name, f"{name}-far"):
            made.ip(f"link set {end} up")
    made.sysctl("net.ipv4.ip_forward", "1")
    return made


@pytest.fixture
def routes(near: Netns) -> Routes:
    addresses = {"tunnel0": IPv4Interface("10.0.0.11/24"), "lan0": IPv4Interface("192.168.1.1/24")}
    return Routes(near.netlink, rib.ODR, addresses, Counter(), getLogger("test"))


def way(netns: Netns, *more: str) -> str | None:
    found: dict[str, str] = json.loads(netns.run("ip", "-json", "route", "get", FAR, *more))[0]
    return found.get("gateway")


def test_it_counts_for_what_comes_in_and_not_for_what_the_tunnel_sends(near: Netns, routes: Routes) -> None:
    routes.put(DEFAULT, [(near.index("tunnel0"), HUB)])
    assert way(near, "from", "192.168.1.9", "iif", "lan0") == str(HUB)
    assert way(near, "from", "10.0.0.11") == str(HUB)
    assert way(near) == str(ISP)
    assert way(near, "from", "192.0.2.1") == str(ISP)


def test_a_more_specific_route_of_the_main_table_is_used_before_it(near: Netns, routes: Routes) -> None:
    routes.put(DEFAULT, [(near.index("tunnel0"), HUB)])
    near.route("192.0.2.253", IPv4Network("198.51.100.0/24"))
    assert way(near, "from", "192.168.1.9", "iif", "lan0") == "192.0.2.253"


def test_the_agent_that_looks_for_a_shorter_way_sees_it(near: Netns, routes: Routes) -> None:
    shortcut_route.begin(near.netlink)
    routes.put(DEFAULT, [(near.index("tunnel0"), HUB)])
    found = shortcut_route.find(near.netlink, IPv4Address(FAR))
    assert found is not None
    assert (found.prefix, found.gateway) == (DEFAULT, HUB)


def test_a_next_agent_finds_it_and_its_end_leaves_the_isps(near: Netns, routes: Routes) -> None:
    routes.put(DEFAULT, [(near.index("tunnel0"), HUB)])
    routes.put(LAN, [(near.index("tunnel0"), HUB)])
    addresses = {"tunnel0": IPv4Interface("10.0.0.11/24"), "lan0": IPv4Interface("192.168.1.1/24")}
    second = Routes(near.netlink, rib.ODR, addresses, Counter(), getLogger("test"))
    assert second.inherited == {DEFAULT, LAN}
    second.put(LAN, [(near.index("tunnel0"), HUB)])
    second.settle()
    assert way(near, "from", "192.168.1.9", "iif", "lan0") == str(ISP)
    assert rib.present(near.netlink, rib.ODR) == {LAN}


def test_a_discard_route_is_one_for_the_overlay_only(near: Netns, routes: Routes) -> None:
    routes.put(DEFAULT, [])
    assert "blackhole default" in near.ip("route show table 8194")
    assert way(near) == str(ISP)
