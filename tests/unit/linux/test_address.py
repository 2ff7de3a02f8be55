"""IPv4 addresses of links, on real ones."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

import pytest

from dmvpn_lab.linux.address import (
    Address,
    address_event,
    decode_address,
    delete_address,
    list_addresses,
    put_address,
)
from dmvpn_lab.linux.netlink import Kind, Message, NetlinkError
from tests.live.namespaces import Netns

pytestmark = pytest.mark.root


def of(netns: Netns, link: str) -> list[tuple[str, bool]]:
    return [(str(each.interface), each.secondary)
            for each in list_addresses(netns.netlink, netns.index(link))]  # fmt: skip


def test_an_address_is_put_with_its_broadcast_address_and_putting_it_again_is_no_error(
    pair: tuple[Netns, Netns],
) -> None:
    near, _ = pair
    for _time in range(2):
        near.add("near", "192.0.2.1/24")
    assert of(near, "near") == [("192.0.2.1/24", False)]
    assert "inet 192.0.2.1/24 brd 192.0.2.255 scope global near" in near.ip("-4 addr show near")


@pytest.mark.parametrize("address", ["192.0.2.1/32", "192.0.2.0/31"])
def test_a_subnet_without_room_has_no_broadcast_address(pair: tuple[Netns, Netns], address: str) -> None:
    near, _ = pair
    near.add("near", address)
    assert of(near, "near") == [(address, False)]
    assert "brd" not in near.ip("-4 addr show near")


def test_another_address_of_the_subnet_is_secondary_and_one_of_another_subnet_is_not(
    pair: tuple[Netns, Netns],
) -> None:
    near, _ = pair
    for address in ("192.0.2.1/24", "192.0.2.2/24", "198.51.100.1/24"):
        near.add("near", address)
    assert of(near, "near") == [("192.0.2.1/24", False), ("198.51.100.1/24", False), ("192.0.2.2/24", True)]


def test_the_addresses_of_one_link_or_of_all_are_listed(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    near.add("near", "192.0.2.1/24")
    assert [str(each.ip) for each in list_addresses(near.netlink)] == ["127.0.0.1", "192.0.2.1"]
    assert of(near, "lo") == [("127.0.0.1/8", False)]


def test_an_address_is_deleted_and_deleting_it_again_is_no_error(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    near.add("near", "192.0.2.1/24")
    for _time in range(2):
        near.remove("near", "192.0.2.1/24")
    assert of(near, "near") == []


def test_an_address_for_a_link_that_is_gone_is_refused_by_name(netns: Netns) -> None:
    with pytest.raises(NetlinkError, match=r"add address 192\.0\.2\.1/24: No such device"):
        put_address(netns.netlink, 4711, IPv4Interface("192.0.2.1/24"))
    with pytest.raises(NetlinkError, match=r"delete address 192\.0\.2\.1/24: No such device"):
        delete_address(netns.netlink, 4711, IPv4Interface("192.0.2.1/24"))


def test_on_a_point_to_point_link_the_local_address_counts_and_not_the_peers() -> None:
    # ifaddrmsg: AF_INET, /32, no flags, scope 0, link 7; then IFA_ADDRESS (peer) and IFA_LOCAL.
    head = bytes([2, 32, 0, 0]) + (7).to_bytes(4, "little")
    peer, local = bytes.fromhex("08000100 0a000063"), bytes.fromhex("08000200 0a000001")
    wanted = Address(7, IPv4Interface("10.0.0.1/32"), secondary=False)
    assert decode_address(head + peer + local) == wanted
    assert decode_address(head + local) == wanted


def test_ipv6_is_none_of_ours() -> None:
    head = bytes([10, 64, 0, 0]) + (7).to_bytes(4, "little")
    assert decode_address(head + bytes.fromhex("14000100") + bytes(16)) is None


def test_only_whole_address_messages_are_address_events() -> None:
    body = bytes([2, 24, 1, 0]) + (7).to_bytes(4, "little") + bytes.fromhex("08000200 c0000201")
    found = address_event(Message(Kind.DELADDR, 0, body))
    assert found == Address(7, IPv4Interface("192.0.2.1/24"), secondary=True)
    assert found.ip == IPv4Address("192.0.2.1")
    assert address_event(Message(Kind.NEWADDR, 0, body)) == found
    assert address_event(Message(Kind.NEWLINK, 0, body)) is None
    assert address_event(Message(Kind.NEWADDR, 0, body[:7])) is None
