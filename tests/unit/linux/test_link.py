"""Links: what the kernel says of them, read back against /sys and `ip`."""

from __future__ import annotations

import struct

import pytest

from dmvpn_lab.linux.link import (
    IFF_MULTICAST,
    IFF_NOARP,
    IFF_UP,
    IFINFOMSG,
    IFLA_IFNAME,
    IFLA_LINKINFO,
    IFLA_MTU,
    Link,
    decode_link,
    delete_link,
    find_link,
    link_event,
    list_links,
    put_link,
    set_link,
)
from dmvpn_lab.linux.netlink import Kind, Message, NetlinkError, attribute
from tests.live.namespaces import Netns

pytestmark = pytest.mark.root


def the(netns: Netns, name: str) -> Link:
    found = find_link(netns.netlink, name)
    assert found is not None
    return found


def test_a_link_is_decoded_with_its_kind_and_the_attributes_of_its_kind() -> None:
    info = attribute(1, b"gre\0") + attribute(2, attribute(6, b"\xac\x10\1\1"))
    body = IFINFOMSG.pack(0, 778, 5, IFF_UP, 0) + attribute(IFLA_IFNAME, b"tunnel0\0")
    body += attribute(IFLA_MTU, struct.pack("=I", 1400)) + attribute(IFLA_LINKINFO, info)
    assert decode_link(body) == Link(5, "tunnel0", IFF_UP, 1400, "gre", {6: b"\xac\x10\1\1"})


def test_a_link_is_found_by_its_name_and_a_missing_one_is_none(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    link = the(near, "near")
    assert (link.name, link.kind, link.mtu, link.up) == ("near", "veth", 1500, True)
    assert near.ip("-o link show near").startswith(f"{link.index}: ")
    assert find_link(near.netlink, "far") is None
    assert find_link(near.netlink, "near2") is None


def test_all_links_of_a_namespace_are_listed(pair: tuple[Netns, Netns]) -> None:
    assert {link.name: link.kind for link in list_links(pair[0].netlink)} == {"lo": None, "near": "veth"}


def test_mac_mtu_and_flags_are_changed_and_nothing_else(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    before = the(near, "near")
    set_link(near.netlink, before.index, "near", mac="02:00:00:00:00:aa", mtu=1400, flags=IFF_NOARP)
    after = the(near, "near")
    assert (after.mtu, after.flags) == (1400, before.flags | IFF_NOARP)
    assert "link/ether 02:00:00:00:00:aa" in near.ip("link show near")
    set_link(near.netlink, after.index, "near", flags=IFF_MULTICAST, clear=IFF_NOARP)
    assert the(near, "near").flags == before.flags
    assert the(near, "near").mtu == 1400


def test_a_link_is_set_up_and_down(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    near.down("near")
    assert not the(near, "near").up
    near.up("near")
    assert the(near, "near").up


def test_a_name_that_is_taken_is_refused_and_the_link_is_named(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    with pytest.raises(NetlinkError, match="create veth link near: File exists"):
        put_link(near.netlink, "near", "veth", b"", create=True)


def test_a_kind_that_the_kernel_lacks_is_refused(netns: Netns) -> None:
    with pytest.raises(NetlinkError, match="create nonsense link x0: Operation not supported"):
        put_link(netns.netlink, "x0", "nonsense", b"", create=True)


def test_a_link_is_deleted_and_deleting_it_again_is_no_error(pair: tuple[Netns, Netns]) -> None:
    near, far = pair
    index = near.index("near")
    delete_link(near.netlink, index, "near")
    assert find_link(near.netlink, "near") is None
    assert find_link(far.netlink, "far") is None
    delete_link(near.netlink, index, "near")


def test_only_whole_link_messages_are_link_events() -> None:
    body = IFINFOMSG.pack(0, 1, 3, 0, 0) + attribute(IFLA_IFNAME, b"eth1\0")
    found = link_event(Message(Kind.NEWLINK, 0, body))
    assert found is not None
    assert (found.index, found.name) == (3, "eth1")
    assert link_event(Message(Kind.DELLINK, 0, body)) == found
    assert link_event(Message(Kind.NEWADDR, 0, body)) is None
    assert link_event(Message(Kind.NEWLINK, 0, body[:15])) is None
