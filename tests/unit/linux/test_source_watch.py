"""Which of an interface's addresses is the NBMA address, and what happens to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmvpn_lab.linux.address import Address
from dmvpn_lab.linux.source_watch import SourceWatch, choose
from tests.live.namespaces import Netns

A, B, C = (IPv4Address(f"192.0.2.{host}") for host in (1, 2, 3))


def has(*addresses: tuple[IPv4Address, bool]) -> list[Address]:
    return [Address(1, IPv4Interface((ip, 24)), secondary) for ip, secondary in addresses]


def test_the_first_primary_address_is_chosen_before_a_secondary_one() -> None:
    assert choose(has((B, True), (A, False), (C, False)), None) == A


def test_a_secondary_address_is_better_than_none() -> None:
    assert choose(has((B, True)), None) == B


def test_the_present_address_stays_while_it_is_there_though_it_became_secondary() -> None:
    assert choose(has((A, False), (B, True)), B) == B


def test_another_address_takes_over_when_the_present_one_is_gone() -> None:
    assert choose(has((A, False), (B, True)), C) == A


def test_an_interface_without_address_has_none() -> None:
    assert choose([], A) is None


@given(
    st.lists(st.tuples(st.sampled_from([A, B, C]), st.booleans()), max_size=4), st.sampled_from([None, A, B])
)
def test_whatever_is_chosen_is_there_and_choosing_again_changes_nothing(
    addresses: list[tuple[IPv4Address, bool]], present: IPv4Address | None
) -> None:
    chosen = choose(has(*addresses), present)
    assert (chosen is None) == (not addresses)
    assert chosen is None or chosen in {ip for ip, _ in addresses}
    assert choose(has(*addresses), chosen) == chosen


@pytest.fixture
def near(pair: tuple[Netns, Netns]) -> Netns:
    return pair[0]


@pytest.fixture
def watch(near: Netns) -> Iterator[SourceWatch]:
    near.add("near", "192.0.2.1/24")
    with near.entered():
        made = SourceWatch(near.netlink, {"near", "absent"})
    yield made
    made.close()


@pytest.mark.root
def test_the_present_addresses_are_known_from_the_beginning(watch: SourceWatch) -> None:
    assert watch.present == {"near": A, "absent": None}
    assert watch.read().addresses == {}


@pytest.mark.root
def test_a_change_is_told_once(near: Netns, watch: SourceWatch) -> None:
    near.remove("near", "192.0.2.1/24")
    near.add("near", "198.51.100.7/24")
    assert watch.read().addresses == {"near": IPv4Address("198.51.100.7")}
    assert watch.read().addresses == {}


@pytest.mark.root
def test_an_address_that_goes_and_comes_back_in_one_go_is_no_change(near: Netns, watch: SourceWatch) -> None:
    near.remove("near", "192.0.2.1/24")
    near.add("near", "192.0.2.1/24")
    assert watch.read().addresses == {}


@pytest.mark.root
def test_a_lost_address_is_told_as_none(near: Netns, watch: SourceWatch) -> None:
    near.remove("near", "192.0.2.1/24")
    assert watch.read().addresses == {"near": None}
    near.add("near", "192.0.2.9/24")
    assert watch.read().addresses == {"near": IPv4Address("192.0.2.9")}


@pytest.mark.root
def test_an_address_that_is_added_to_the_present_one_changes_nothing(near: Netns, watch: SourceWatch) -> None:
    near.add("near", "192.0.2.2/24")
    near.add("near", "198.51.100.7/24")
    assert watch.read().addresses == {}


@pytest.mark.root
def test_a_renewed_lease_changes_nothing(near: Netns, watch: SourceWatch) -> None:
    near.ip("addr change 192.0.2.1/24 dev near valid_lft 600 preferred_lft 600")
    near.ip("addr change 192.0.2.1/24 dev near valid_lft 900 preferred_lft 900")
    assert watch.read().addresses == {}
    assert len(watch._addresses[near.index("near")]) == 1  # a lease is renewed for years
    near.remove("near", "192.0.2.1/24")
    assert watch.read().addresses == {"near": None}


@pytest.mark.root
def test_when_a_primary_address_goes_the_promoted_secondary_takes_over(
    near: Netns, watch: SourceWatch
) -> None:
    near.sysctl("net.ipv4.conf.near.promote_secondaries", "1")
    near.add("near", "192.0.2.2/24")
    near.remove("near", "192.0.2.1/24")
    assert watch.read().addresses == {"near": B}


@pytest.mark.root
def test_when_a_primary_address_takes_its_secondaries_along_nothing_is_left(
    near: Netns, watch: SourceWatch
) -> None:
    near.sysctl("net.ipv4.conf.near.promote_secondaries", "0")
    near.add("near", "192.0.2.2/24")
    near.remove("near", "192.0.2.1/24")
    assert watch.read().addresses == {"near": None}


@pytest.mark.root
def test_addresses_of_other_interfaces_are_not_told(near: Netns, watch: SourceWatch) -> None:
    near.add("lo", "203.0.113.1/32")
    assert watch.read().addresses == {}


@pytest.mark.root
def test_an_interface_that_comes_later_is_found_by_its_name(near: Netns, watch: SourceWatch) -> None:
    near.ip("link add absent type veth peer name other")
    near.add("absent", "203.0.113.1/24")
    assert watch.read().addresses == {"absent": IPv4Address("203.0.113.1")}


@pytest.mark.root
def test_an_interface_that_is_removed_has_no_address_and_its_index_is_told(
    near: Netns, watch: SourceWatch
) -> None:
    index = near.index("near")
    near.ip("link del near")
    changes = watch.read()
    assert changes.addresses == {"near": None}
    assert index in changes.gone


@pytest.mark.root
def test_a_link_that_was_down_and_is_up_again_is_told_and_one_that_only_changed_is_not(
    near: Netns, watch: SourceWatch
) -> None:
    index = near.index("near")
    near.ip("link set near mtu 1400")
    assert watch.read().up == set()
    near.down("near")
    assert watch.read().up == set()
    near.up("near")
    changes = watch.read()
    assert changes.up == {index}
    assert watch.read().up == set()


@pytest.mark.root
def test_lost_events_are_made_good_by_reading_the_state_again(near: Netns, watch: SourceWatch) -> None:
    watch._events._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    other = near.index("near")
    for host in range(1, 60):
        near.add("lo", f"203.0.113.{host}/32")
    near.remove("near", "192.0.2.1/24")
    near.add("near", "192.0.2.9/24")
    changes = watch.read()
    assert changes.addresses == {"near": IPv4Address("192.0.2.9")}
    assert other in changes.up  # it may have been down meanwhile: better once too often
    while watch.read().addresses:
        pass
    assert watch.present["near"] == IPv4Address("192.0.2.9")
