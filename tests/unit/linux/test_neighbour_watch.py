"""What the kernel tells of neighbours: others' changes, and none of the agent's own."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest

from dmvpn_lab.linux.neighbour import NDA_DST, NDMSG, NUD_PERMANENT, Neighbour, delete_neighbour
from dmvpn_lab.linux.neighbour_watch import NeighbourWatch
from dmvpn_lab.linux.netlink import PUT, Kind, Request, attribute
from tests.live.namespaces import Netns

PEER, OTHER = IPv4Address("192.0.2.9"), IPv4Address("192.0.2.10")
NBMA = IPv4Address("172.16.1.1")


def put_ethernet(index: int, protocol: IPv4Address) -> Request:
    """An Ethernet neighbour: these links have no NBMA addresses."""
    body = NDMSG.pack(2, index, NUD_PERMANENT, 0, 0) + attribute(NDA_DST, protocol.packed)
    return Request(Kind.NEWNEIGH, PUT, body + attribute(2, bytes.fromhex("020000000001")))


@pytest.mark.root
def test_changes_of_others_are_told_and_the_agents_own_are_not(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    index = near.index("near")
    with near.entered():
        watch = NeighbourWatch(near.netlink.port)
    assert near.netlink.apply([put_ethernet(index, OTHER)]) == [0]  # ours
    near.ip("neigh add 192.0.2.9 lladdr 02:00:00:00:00:01 dev near nud permanent")
    near.ip("neigh del 192.0.2.9 dev near")
    changed = watch.read().changed
    assert {each.protocol for each in changed} == {PEER}
    assert changed[0] == Neighbour(index, PEER, None, NUD_PERMANENT)
    assert changed[-1].state == 0
    watch.close()


@pytest.mark.root
def test_a_neighbour_whose_end_the_agent_itself_caused_is_told_as_gone(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    index = near.index("near")
    near.netlink.apply([put_ethernet(index, PEER)])
    with near.entered():
        watch = NeighbourWatch(near.netlink.port)
    assert near.netlink.apply([delete_neighbour(index, PEER)]) == [0]
    # The kernel names nobody as the cause of the end itself: the cache must know better.
    assert [(each.protocol, each.state) for each in watch.read().changed] == [(PEER, 0)]
    watch.close()


@pytest.mark.root
def test_more_changes_than_there_is_room_for_are_told_to_be_lost(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    index = near.index("near")
    with near.entered():
        watch = NeighbourWatch(0xFFFFFFFF)
    addresses = [IPv4Address(struct.pack("!I", 0x0A000000 + number)) for number in range(4000)]
    assert set(near.netlink.apply([put_ethernet(index, each) for each in addresses])) == {0}
    assert watch.read().lost
    watch.close()


@pytest.mark.parametrize(
    ("state", "permanent", "leads"),
    [(0x80, True, True), (0x04, True, False), (0x04, False, True), (0x20, False, False), (0, False, False)],
    ids=["permanent", "stale for permanent", "stale", "failed", "gone"],
)
def test_an_entry_leads_to_a_peer_as_long_as_its_state_lets_packets_out(
    state: int, permanent: bool, leads: bool
) -> None:
    assert Neighbour(7, PEER, NBMA, state).leads_to(NBMA, permanent=permanent) is leads
    assert not Neighbour(7, PEER, None, state).leads_to(NBMA, permanent=permanent)
