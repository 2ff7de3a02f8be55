"""Shortcut routes in this kernel: before main, seen past by the agent, gone with the next agent."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv4Network

import pytest

from dmvpn_lab.linux import shortcut_route
from dmvpn_lab.linux.shortcut_route import Found
from tests.live.namespaces import Netns

pytestmark = pytest.mark.root
LAN = IPv4Network("192.168.2.0/24")
HOST = IPv4Address("192.168.2.9")
PATIENCE_S = 10.0
HUB, SPOKE = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.12")


@pytest.fixture
def near(pair: tuple[Netns, Netns]) -> Netns:
    """A router whose way to a LAN is by the hub."""
    made, _ = pair
    made.add("near", "10.0.0.11/24")
    made.route(HUB, IPv4Network("192.168.0.0/16"))
    shortcut_route.begin(made.netlink)
    return made


def used(netns: Netns) -> str:
    """The next hop that the kernel would use."""
    return netns.ip(f"route get {HOST}").split(" via ")[1].split()[0]


def test_a_shortcut_is_used_before_main_and_its_removal_leaves_main(near: Netns) -> None:
    index = near.index("near")
    assert used(near) == str(HUB)
    assert near.netlink.apply([shortcut_route.put_shortcut(LAN, SPOKE, index)]) == [0]
    assert used(near) == str(SPOKE)
    assert "proto 78" in near.ip("route show table 8193")
    assert near.netlink.apply([shortcut_route.delete_shortcut(LAN)]) == [0]
    assert used(near) == str(HUB)


def test_the_next_hop_may_be_of_another_tunnels_subnet(near: Netns) -> None:
    other = IPv4Address("10.1.0.12")
    assert near.netlink.apply([shortcut_route.put_shortcut(LAN, other, near.index("near"))]) == [0]
    assert used(near) == str(other)


def test_the_agent_sees_the_route_that_a_shortcut_shortens(near: Netns) -> None:
    index = near.index("near")
    parent = Found(IPv4Network("192.168.0.0/16"), index, HUB)
    assert shortcut_route.find(near.netlink, HOST) == parent
    near.netlink.apply([shortcut_route.put_shortcut(LAN, SPOKE, index)])
    assert shortcut_route.find(near.netlink, HOST) == parent
    assert shortcut_route.find(near.netlink, IPv4Address("198.51.100.1")) is None
    on_link = shortcut_route.find(near.netlink, SPOKE)
    assert on_link == Found(IPv4Network("10.0.0.0/24"), index, None)


def test_the_next_agent_begins_without_shortcuts_and_with_one_rule(near: Netns) -> None:
    near.netlink.apply([shortcut_route.put_shortcut(LAN, SPOKE, near.index("near"))])
    shortcut_route.begin(near.netlink)
    assert near.ip("route show table 8193") == ""
    assert near.ip("rule show").count("lookup 8193") == 1
    assert used(near) == str(HUB)


def test_of_a_route_with_several_next_hops_the_agent_sees_the_first(near: Netns) -> None:
    words = f"route replace 192.168.0.0/16 nexthop via {HUB} dev near nexthop via 10.0.0.2 dev near"
    near.ip(words)
    assert shortcut_route.find(near.netlink, HOST) == Found(
        IPv4Network("192.168.0.0/16"), near.index("near"), HUB
    )


def test_a_route_whose_link_has_no_carrier_is_of_no_use(pair: tuple[Netns, Netns]) -> None:
    lan, host = pair
    lan.add("near", "192.168.2.1/24")
    assert shortcut_route.find(lan.netlink, HOST) == Found(LAN, lan.index("near"), None)
    host.ip("link set far down")
    deadline = time.monotonic() + PATIENCE_S
    while "linkdown" not in lan.ip("route show"):  # the kernel may take its time (net/core/link_watch.c)
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert shortcut_route.find(lan.netlink, HOST) is None
