"""Messages to and from the kernel: encoding, verdicts, events."""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmvpn_lab.linux.address import list_addresses
from dmvpn_lab.linux.link import IFF_UP, IFINFOMSG, find_link, list_links
from dmvpn_lab.linux.neighbour import put_neighbour
from dmvpn_lab.linux.netlink import (
    BATCH,
    HEADER,
    EventsLost,
    Group,
    Kind,
    Message,
    NetlinkError,
    NetlinkEvents,
    Request,
    attribute,
    attributes,
    split,
    text,
)
from tests.live.namespaces import Netns

# struct rtattr of an interface name: length 7, type 3 (IFLA_IFNAME), padded to 8, little endian.
ATTRIBUTE_LO = bytes.fromhex("07 00 03 00 6c 6f 00 00")


def test_an_attribute_is_padded_to_four_octets_and_its_length_is_not() -> None:
    assert attribute(3, b"lo\0") == ATTRIBUTE_LO
    assert attribute(1, b"") == bytes.fromhex("0400 0100")
    assert attribute(1, b"1234") == bytes.fromhex("0800 0100 31323334")


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=8))
def test_attributes_read_back_what_was_written(values: dict[int, bytes]) -> None:
    assert attributes(b"".join(attribute(kind, value) for kind, value in values.items())) == values


def test_the_nested_and_byte_order_bits_are_no_part_of_a_type() -> None:
    assert attributes(attribute(0x8000 | 18, b"x")) == {18: b"x"}
    assert attributes(attribute(0x4000 | 18, b"x")) == {18: b"x"}


@pytest.mark.parametrize("tail", ["0300 0100", "ff00 0100 00000000", "0800 01", "0000 0000"])
def test_a_broken_attribute_ends_the_run_and_what_was_before_is_kept(tail: str) -> None:
    assert attributes(ATTRIBUTE_LO + bytes.fromhex(tail)) == {3: b"lo\0"}


@given(st.binary(max_size=200))
def test_no_octets_make_the_readers_fail(data: bytes) -> None:
    attributes(data)
    list(split(data))


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.binary(max_size=33))))
def test_a_datagram_is_split_into_its_messages(messages: list[tuple[int, int, bytes]]) -> None:
    datagram = b"".join(
        HEADER.pack(16 + len(body), kind, 0, number, 0) + body + bytes(-len(body) % 4)
        for kind, number, body in messages
    )
    assert list(split(datagram)) == [Message(*each) for each in messages]


def test_a_truncated_message_ends_the_split() -> None:
    whole = HEADER.pack(20, 16, 0, 1, 0) + b"abcd"
    assert list(split(whole + whole[:-1])) == [Message(16, 1, b"abcd")]
    assert list(split(HEADER.pack(15, 16, 0, 1, 0))) == []


def test_a_string_loses_its_nul_and_keeps_what_is_not_utf8_readable() -> None:
    assert text(b"eth1\0") == "eth1"
    assert text(b"\xff\0") == "�"


@pytest.mark.root
def test_a_refusal_names_what_was_tried_and_carries_the_errno(netns: Netns) -> None:
    body = IFINFOMSG.pack(0, 0, 4711, IFF_UP, IFF_UP)
    with pytest.raises(NetlinkError, match="set up the wire: No such device") as caught:
        netns.netlink.do("set up the wire", Request(Kind.NEWLINK, 0, body))
    assert caught.value.errno == errno.ENODEV


@pytest.mark.root
def test_a_refusal_that_is_to_be_ignored_is_none(netns: Netns) -> None:
    body = IFINFOMSG.pack(0, 0, 4711, IFF_UP, IFF_UP)
    netns.netlink.do("set up the wire", Request(Kind.NEWLINK, 0, body), ignore=(errno.ENODEV,))


@pytest.mark.root
def test_requests_in_one_call_get_each_its_own_verdict_in_their_order(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    index = near.index("near")
    mac = b"\x02\0\0\0\0\x01"
    good = [put_neighbour_of(index, host, mac) for host in range(1, 2 * BATCH)]
    wrong = put_neighbour_of(4711, 1, mac)
    requests = [wrong, *good, wrong]
    assert near.netlink.apply(requests) == [errno.ENODEV, *[0] * len(good), errno.ENODEV]
    assert len(near.ip("neigh show dev near nud permanent").splitlines()) == len(good)


def put_neighbour_of(index: int, host: int, mac: bytes) -> Request:
    """A permanent neighbour 10.9.X.Y with an Ethernet address."""
    request = put_neighbour(index, IPv4Address(f"10.9.{host // 256}.{host % 256}"), IPv4Address(0))
    body = request.body[: -len(attribute(2, bytes(4)))] + attribute(2, mac)
    return Request(request.kind, request.flags, body)


@pytest.mark.root
def test_apply_of_nothing_asks_nothing(netns: Netns) -> None:
    assert netns.netlink.apply([]) == []


@pytest.mark.root
def test_sequence_numbers_begin_again_before_they_overflow(netns: Netns) -> None:
    netns.netlink._sequence = 1 << 30
    assert [link.name for link in list_links(netns.netlink)] == ["lo"]
    assert netns.netlink._sequence == 0
    assert find_link(netns.netlink, "lo") is not None


@pytest.mark.root
def test_a_dump_of_something_that_is_refused_raises(netns: Netns) -> None:
    with pytest.raises(NetlinkError, match="list addresses: No such device"):
        list_addresses(netns.netlink, 4711)
    assert len(list_addresses(netns.netlink)) == 1  # and the next answer is not mistaken for it


@pytest.mark.root
def test_a_socket_belongs_to_the_namespace_that_it_was_made_in(pair: tuple[Netns, Netns]) -> None:
    near, far = pair
    assert {link.name for link in list_links(near.netlink)} == {"lo", "near"}
    assert {link.name for link in list_links(far.netlink)} == {"lo", "far"}


@pytest.mark.root
def test_events_of_the_groups_arrive_and_of_no_others(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    with near.entered():
        events = NetlinkEvents([Group.IPV4_IFADDR])
    assert events.read() == []
    near.down("near")
    near.add("near", "192.0.2.1/24")
    near.remove("near", "192.0.2.1/24")
    assert [message.kind for message in events.read()] == [Kind.NEWADDR, Kind.DELADDR]
    assert events.read() == []
    events.close()


@pytest.mark.root
def test_events_that_did_not_fit_are_reported_as_lost_once(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    with near.entered():
        events = NetlinkEvents([Group.IPV4_IFADDR])
    events._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    for host in range(1, 60):
        near.add("near", f"192.0.2.{host}/32")
    with pytest.raises(EventsLost):
        events.read()
    while events.read():
        pass
    near.add("near", "192.0.2.200/32")
    assert len(events.read()) == 1
    events.close()
