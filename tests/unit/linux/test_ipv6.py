"""What the kernel side does for IPv6, on a kernel without GRE: the rest is live (tests/live/test_ipv6.py)."""

from __future__ import annotations

import json
import select
import socket
import struct
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

import pytest

from dmvpn_lab.linux import shortcut_route
from dmvpn_lab.linux.address import delete_address, list_ipv6, put_address
from dmvpn_lab.linux.gre import Gre
from dmvpn_lab.linux.link import set_link
from dmvpn_lab.linux.multicast import MulticastTap, outgoing_multicast
from dmvpn_lab.linux.neighbour import (
    delete_neighbour,
    never_solicit,
    put_neighbour,
    put_used_neighbour,
)
from dmvpn_lab.linux.neighbour_watch import NeighbourWatch
from dmvpn_lab.linux.netlink import Kind
from dmvpn_lab.linux.packet_socket import ETH_P_ALL, open_packet_socket
from dmvpn_lab.linux.route import put_route
from dmvpn_lab.linux.route_watch import RouteWatch
from dmvpn_lab.linux.shortcut_route import Found
from dmvpn_lab.linux.udp_checksum import complete_udp_checksum, internet_sum
from tests.live.namespaces import Netns

OURS, PEER, HUB = (IPv6Interface("2001:db8::11/64"), IPv6Address("2001:db8::12"), IPv6Address("2001:db8::1"))
NBMA = IPv4Address("172.16.1.1")
LAN, FAR = IPv6Network("2001:db8:102::/64"), IPv6Address("2001:db8:102::2")
MARK = b"a packet of this test"
MAC = "02:00:00:00:00:02"


@pytest.fixture
def near(pair: tuple[Netns, Netns]) -> Netns:
    """A router with IPv6 on a cable that makes no link-local address by itself."""
    made, far = pair
    far.sysctl("net.ipv6.conf.all.disable_ipv6", "1")
    made.down("near")
    set_link(made.netlink, made.index("near"), "near", no_link_local=True)
    made.up("near")
    made.running("near")
    for each in (OURS, IPv6Interface("fe80::11/64")):
        put_address(made.netlink, made.index("near"), each)
    return made


def test_the_requests_for_a_neighbour_have_its_family_and_the_ipv4_nbma_address() -> None:
    peer = "1400 0100 20010db8000000000000000000000012"
    assert put_neighbour(7, PEER, NBMA).body == bytes.fromhex(
        f"0a000000 07000000 8000 10 00 {peer} 08000200 ac100101"
    )
    assert put_used_neighbour(7, PEER, NBMA).body[:12] == bytes.fromhex("0a000000 07000000 0400 10 00")
    removal = delete_neighbour(7, PEER)
    assert (removal.kind, removal.body) == (
        Kind.DELNEIGH,
        bytes.fromhex(f"0a000000 07000000 0000 00 00 {peer}"),
    )


def test_a_link_carries_ipv6_when_one_of_its_addresses_is_of_ipv6() -> None:
    assert Gre("tunnel0", 1, None, (OURS,), 1400).ipv6
    assert not Gre("tunnel0", 1, None, (), 1400).ipv6


@pytest.mark.root
def test_an_address_is_usable_at_once_and_the_link_has_no_other(near: Netns) -> None:
    assert list_ipv6(near.netlink, near.index("near")) == [OURS, IPv6Interface("fe80::11/64")]
    (link,) = json.loads(near.ip("-6 -j addr show dev near"))
    assert [each.get("tentative", False) for each in link["addr_info"]] == [False, False]
    delete_address(near.netlink, near.index("near"), OURS)
    assert list_ipv6(near.netlink, near.index("near")) == [IPv6Interface("fe80::11/64")]


@pytest.mark.root
def test_the_kernel_asks_the_agent_for_an_ipv6_neighbour_and_nobody_on_the_link(
    near: Netns, pair: tuple[Netns, Netns]
) -> None:
    never_solicit(near.netlink, near.index("near"), ask_user_space=1, ipv6=True)
    with near.entered():
        watch = NeighbourWatch(near.netlink.port)
        wire = open_packet_socket("near", ETH_P_ALL, 1 << 16, outgoing_multicast(None, ipv6=True))
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"x", (str(PEER), 9))
    assert list(watch.read().wanted) == [(near.index("near"), PEER)]
    solicitations = []
    while True:
        try:
            packet = wire.recv(2000)
        except BlockingIOError:
            break
        solicitations += [packet] if packet[6] == 58 and packet[40] == 135 else []
    assert solicitations == []
    watch.close()
    wire.close()


@pytest.mark.root
def test_an_ipv6_shortcut_is_used_before_main_and_the_agent_sees_past_it(near: Netns) -> None:
    index = near.index("near")
    parent = IPv6Network("2001:db8:100::/40")
    put_route(near.netlink, parent, HUB)
    shortcut_route.begin(near.netlink, socket.AF_INET6)

    def used() -> str:
        return near.ip(f"-6 route get {FAR}").split(" via ")[1].split()[0]

    assert used() == str(HUB)
    assert near.netlink.apply([shortcut_route.put_shortcut(LAN, PEER, index)]) == [0]
    assert used() == str(PEER)
    assert shortcut_route.find(near.netlink, FAR) == Found(parent, index, HUB)
    assert shortcut_route.find(near.netlink, IPv6Address("2001:db9::1")) is None
    shortcut_route.begin(near.netlink, socket.AF_INET6)  # the next agent
    assert used() == str(HUB)


@pytest.mark.root
def test_a_change_of_ipv6_routes_wakes_who_watches_them(near: Netns) -> None:
    with near.entered():
        both, ipv4 = RouteWatch(ipv6=True), RouteWatch()
    put_route(near.netlink, LAN, HUB)
    readable = [bool(select.select([each], [], [], 0)[0]) for each in (both, ipv4)]
    assert readable == [True, False]
    both.close()
    ipv4.close()


# --- the tap ------------------------------------------------------------------------------------------


class Recorded(MulticastTap):
    """A tap that keeps what it would send, but for reports of groups, which come when they like."""

    seen: tuple[bytes, ...] = ()

    def _copy(self, packet: bytes) -> None:
        self.seen += (packet,) if MARK in packet else ()


def tap(netns: Netns, *, ipv6: bool) -> Recorded:
    """At the near end of the cable."""
    with netns.entered():
        return Recorded("near", IPv4Network("10.0.0.0/24"), ipv6=ipv6)


def send(netns: Netns, destination: str) -> None:
    """A UDP packet out of the cable."""
    with netns.entered(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        index = socket.if_nametoindex("near")
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, struct.pack("=i", index))
        sock.sendto(MARK, (destination, 5000, 0, index))


@pytest.mark.root
@pytest.mark.parametrize(
    ("destination", "ipv6", "copies"),
    [("ff02::5", True, 1), ("ff02::7777", True, 1), ("ff05::2", True, 1), ("ff0e::1", True, 1),
     ("2001:db8::12", True, 0), ("ff02::5", False, 0)],
)  # fmt: skip
def test_an_outgoing_packet_to_a_group_of_ipv6_is_seen_once_by_a_tap_that_is_to_see_it(
    near: Netns, destination: str, ipv6: bool, copies: int
) -> None:
    near.ip(f"-6 neigh add {PEER} lladdr {MAC} dev near nud permanent")
    made = tap(near, ipv6=ipv6)
    send(near, destination)
    made.pump()
    assert len(made.seen) == copies
    made.close()


@pytest.mark.parametrize("subnet", [None, IPv4Network("10.0.0.0/24")])
@pytest.mark.parametrize("ipv6", [False, True])
def test_every_jump_of_the_filter_lands_in_it(subnet: IPv4Network | None, ipv6: bool) -> None:
    program = outgoing_multicast(subnet, ipv6=ipv6)
    for place, (code, true, false, _constant) in enumerate(program):
        if code == 0x15:
            assert place + 1 + max(true, false) < len(program)


@pytest.mark.root
def test_the_udp_checksum_of_a_copy_is_completed_as_the_kernel_itself_would(near: Netns) -> None:
    with near.entered():
        wire = open_packet_socket("near", ETH_P_ALL, 1 << 16, outgoing_multicast(None, ipv6=True))
    send(near, "ff02::9")
    packet = b""
    while MARK not in packet:  # after the reports of groups
        packet = wire.recv(2000)
    whole = complete_udp_checksum(packet)
    pseudo = whole[8:40] + struct.pack(">IHBB", len(whole) - 40, 0, 0, 17)
    assert internet_sum(pseudo + whole[40:]) == 0xFFFF
    assert (whole[:46], whole[48:]) == (packet[:46], packet[48:])
    wire.close()


def test_what_is_no_udp_right_after_the_ipv6_header_is_left_as_it_is() -> None:
    for packet in (
        b"",
        b"\x60" + bytes(30),
        b"\x60" + bytes(5) + b"\x00" + bytes(60),
        b"\x60" + bytes(5) + b"\x11",
    ):
        assert complete_udp_checksum(packet) == packet
