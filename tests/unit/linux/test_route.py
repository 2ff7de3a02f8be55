"""Routes, and the wait for one, on real links."""

from __future__ import annotations

import select
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from dmvpn_lab.linux.netlink import NetlinkError
from dmvpn_lab.linux.route import reachable
from dmvpn_lab.linux.route_watch import RouteWatch
from tests.live.namespaces import Netns

pytestmark = pytest.mark.root
HUB = IPv4Address("172.17.0.1")
OURS = IPv4Address("192.0.2.1")


@pytest.fixture
def near(pair: tuple[Netns, Netns]) -> Netns:
    pair[0].add("near", "192.0.2.1/24")
    return pair[0]


@pytest.fixture
def watch(near: Netns) -> Iterator[RouteWatch]:
    with near.entered():
        made = RouteWatch()
    yield made
    made.close()


def readable(watch: RouteWatch) -> bool:
    return bool(select.select([watch], [], [], 0)[0])


def test_a_route_is_put_and_putting_another_gateway_replaces_it(near: Netns) -> None:
    near.route("192.0.2.254", IPv4Network("198.51.100.0/24"))
    near.route("192.0.2.253", IPv4Network("198.51.100.0/24"))
    near.route("192.0.2.254")
    assert near.ip("route show proto static").splitlines() == [
        "default via 192.0.2.254 dev near ",
        "198.51.100.0/24 via 192.0.2.253 dev near ",
    ]


def test_a_gateway_that_is_not_on_the_link_is_refused_by_name(near: Netns) -> None:
    with pytest.raises(NetlinkError, match=r"add route 0\.0\.0\.0/0 via 10\.9\.9\.9: "):
        near.route("10.9.9.9")


def test_a_destination_is_reachable_once_there_is_a_route(near: Netns) -> None:
    assert not reachable(near.netlink, HUB, OURS)
    near.route("192.0.2.254")
    assert reachable(near.netlink, HUB, OURS)


def test_a_neighbour_on_the_link_needs_no_route(near: Netns) -> None:
    assert reachable(near.netlink, IPv4Address("192.0.2.77"), OURS)


def test_a_source_that_is_not_ours_reaches_nothing(near: Netns) -> None:
    near.route("192.0.2.254")
    assert not reachable(near.netlink, HUB, IPv4Address("203.0.113.9"))


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit", "throw"])
def test_a_route_that_refuses_is_no_route(near: Netns, kind: str) -> None:
    near.ip(f"route add {kind} {HUB}")
    assert not reachable(near.netlink, HUB, OURS)


def test_a_watch_hears_of_routes_and_forgets_them(near: Netns, watch: RouteWatch) -> None:
    assert not readable(watch)
    near.route("192.0.2.254")
    assert readable(watch)
    watch.drain()
    assert not readable(watch)


def test_a_watch_of_links_hears_of_what_goes_with_one(near: Netns, watch: RouteWatch) -> None:
    with near.entered():
        links = RouteWatch(links=True)
    near.ip("link set near down")
    assert near.ip("route show") == ""
    assert (readable(watch), readable(links)) == (False, True)
    links.close()
