"""Neighbours: the messages here, and what a kernel without GRE can say of them; the rest is live."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv4Network

import pytest

from dmvpn_lab.linux.neighbour import (
    delete_neighbour,
    list_neighbours,
    never_solicit,
    put_broadcast,
    put_neighbour,
)
from dmvpn_lab.linux.netlink import Flag, Kind
from tests.live.namespaces import Netns

SPOKE, NBMA = IPv4Address("10.0.0.11"), IPv4Address("172.16.1.1")


def test_a_mapping_is_a_permanent_neighbour_that_replaces_an_earlier_one() -> None:
    request = put_neighbour(7, SPOKE, NBMA)
    assert (request.kind, request.flags) == (Kind.NEWNEIGH, Flag.CREATE | Flag.REPLACE)
    # ndmsg: AF_INET, link 7, state 0x80 (permanent), flag 0x10 (learned outside); NDA_DST, NDA_LLADDR
    assert request.body == bytes.fromhex("02000000 07000000 8000 10 00 08000100 0a00000b 08000200 ac100101")


def test_a_removal_names_the_link_and_the_protocol_address() -> None:
    request = delete_neighbour(7, SPOKE)
    assert (request.kind, request.flags) == (Kind.DELNEIGH, 0)
    assert request.body == bytes.fromhex("02000000 07000000 0000 00 00 08000100 0a00000b")


def test_broadcasts_are_mapped_to_a_group_and_not_to_a_peer() -> None:
    limited, directed = put_broadcast(7, IPv4Network("10.0.0.0/24"))
    # state 0x40 (no ARP), flag 0x10 (learned outside: never collected), then destination and 224.0.0.1
    head = "02000000 07000000 4000 10 00"
    assert limited.body == bytes.fromhex(f"{head} 08000100 ffffffff 08000200 e0000001")
    assert directed.body == bytes.fromhex(f"{head} 08000100 0a0000ff 08000200 e0000001")
    assert put_broadcast(7, IPv4Network("10.0.0.0/31")) == [limited]


@pytest.mark.root
def test_removing_what_is_not_there_is_enoent(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    request = delete_neighbour(near.index("near"), SPOKE)
    assert near.netlink.apply([request]) == [errno.ENOENT]


@pytest.mark.root
def test_ethernet_neighbours_are_no_mappings(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    near.ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:01 dev near")
    assert list_neighbours(near.netlink, near.index("near")) == {}


@pytest.mark.root
def test_probes_of_a_link_are_set_to_none(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    never_solicit(near.netlink, near.index("near"))
    table = near.ip("ntable show dev near name arp_cache")
    for probes in ("ucast_probes 0", "mcast_probes 0", "app_probes 0"):
        assert probes in table, table


@pytest.mark.root
def test_an_unresolved_address_of_such_a_link_fails_at_once_and_asks_nobody(
    pair: tuple[Netns, Netns],
) -> None:
    near, far = pair
    for each in pair:
        each.sysctl("net.ipv6.conf.all.disable_ipv6", "1")
    near.add("near", "192.0.2.1/24")
    never_solicit(near.netlink, near.index("near"))
    before = received(far)
    with near.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", ("192.0.2.2", 9))
    assert "FAILED" in near.ip("neigh show 192.0.2.2 dev near")
    assert received(far) == before


def received(far: Netns) -> str:
    """Octets and packets that came in."""
    return far.ip("-s -s link show far").split("RX:")[1]
