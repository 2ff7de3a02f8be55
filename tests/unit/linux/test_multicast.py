"""The tap: which packets it sees, and what it does about a copy that the kernel refuses.

The filter runs in this kernel, on a veth; copies need GRE and are tested live.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import pytest

from dmvpn_lab.linux.multicast import MulticastTap, outgoing_multicast
from dmvpn_lab.linux.packet_socket import ETH_P_ALL, open_packet_socket
from tests.live.capture import ipv4, udp_checksum_is_whole
from tests.live.namespaces import Netns

pytestmark = pytest.mark.root
SUBNET = IPv4Network("10.0.0.0/24")
PACKET_HOST, PACKET_OUTGOING = 0, 4
SO_BINDTODEVICE = 25


@pytest.fixture
def ends(pair: tuple[Netns, Netns]) -> tuple[Netns, Netns]:
    """A quiet cable with 10.0.0.1/24 at the near end; every address there has the far end's MAC."""
    near, far = pair
    for each in pair:
        each.sysctl("net.ipv6.conf.all.disable_ipv6", "1")
    near.add("near", "10.0.0.1/24")
    far.add("far", "10.0.0.2/24")
    near.ip("neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev near nud permanent")
    near.ip("neigh add 10.0.0.99 lladdr 02:00:00:00:00:02 dev near nud permanent")
    return near, far


@pytest.fixture
def tap(ends: tuple[Netns, Netns]) -> Iterator[MulticastTap]:
    with ends[0].entered():
        made = MulticastTap("near", SUBNET)
    yield made
    made.close()


def send(netns: Netns, link: str, destination: str, payload: bytes = b"x") -> None:
    """A UDP packet out of that link, be there a route or not."""
    with netns.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, link.encode())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.sendto(payload, (destination, 5000))


SEEN = ["224.0.0.5", "224.0.0.1", "239.255.255.255", "255.255.255.255", "10.0.0.255"]
UNSEEN = ["10.0.0.2", "10.0.0.99"]


@pytest.mark.parametrize("destination", SEEN)
def test_an_outgoing_packet_to_a_group_or_a_broadcast_address_is_seen_once(
    ends: tuple[Netns, Netns], tap: MulticastTap, destination: str
) -> None:
    send(ends[0], "near", destination)
    tap.pump()
    assert tap.packets == 1


@pytest.mark.parametrize("destination", UNSEEN)
def test_an_outgoing_unicast_packet_is_not_seen(
    ends: tuple[Netns, Netns], tap: MulticastTap, destination: str
) -> None:
    send(ends[0], "near", destination)
    tap.pump()
    assert tap.packets == 0


def test_multicast_that_comes_in_is_not_seen(ends: tuple[Netns, Netns], tap: MulticastTap) -> None:
    near, far = ends
    with near.entered():
        all_packets = open_packet_socket("near", ETH_P_ALL, 1 << 16)
    send(far, "far", "224.0.0.5")
    assert select.select([all_packets], [], [], 5)[0]
    assert all_packets.recvfrom(2000)[1][2] != PACKET_OUTGOING  # it did come in
    all_packets.close()
    tap.pump()
    assert tap.packets == 0


def test_arp_is_not_seen_though_it_is_broadcast(ends: tuple[Netns, Netns], tap: MulticastTap) -> None:
    near, far = ends
    send(near, "near", "10.0.0.77")  # nobody is there: the kernel asks by ARP
    with far.entered():
        assert "10.0.0.77" in near.ip("neigh show dev near")
    tap.pump()
    assert tap.packets == 0


@pytest.mark.parametrize(
    ("subnet", "broadcast"),
    [("10.0.0.0/24", "10.0.0.255"), ("10.0.0.0/16", "10.0.255.255"), ("224.0.0.0/3", "255.255.255.255")],
)
def test_the_filter_names_the_subnets_own_broadcast_address(subnet: str, broadcast: str) -> None:
    wanted = int(IPv4Address(broadcast))
    assert any(constant == wanted for *_rest, constant in outgoing_multicast(IPv4Network(subnet)))


def test_the_last_address_of_a_subnet_of_two_is_a_peer_and_no_broadcast_address() -> None:
    for subnet in ("10.0.0.0/31", "10.0.0.1/32"):
        constants = {constant for *_rest, constant in outgoing_multicast(IPv4Network(subnet))}
        assert int(IPv4Address("10.0.0.1")) not in constants


def test_every_jump_of_the_filter_lands_in_it_and_it_ends_in_a_return() -> None:
    program = outgoing_multicast(SUBNET)
    for place, (code, true, false, _constant) in enumerate(program):
        if code == 0x15:
            assert place + 1 + max(true, false) < len(program)
    assert program[-1][0] == program[-2][0] == 0x06


def test_a_copy_that_the_kernel_refuses_is_counted_for_each_peer_and_raises_nothing(
    ends: tuple[Netns, Netns], tap: MulticastTap
) -> None:
    near, _ = ends
    tap.set_peers(frozenset({IPv4Address("172.16.1.1"), IPv4Address("172.16.2.1")}))
    send(near, "near", "224.0.0.5", bytes(1000))
    near.ip("link set near mtu 600")
    tap.pump()
    assert (tap.packets, tap.sent, tap.failures) == (1, 0, 2)
    assert sum(tap.copies.values()) == 0


def test_counts_of_a_peer_that_left_are_forgotten_and_those_of_one_that_stays_are_kept(
    tap: MulticastTap,
) -> None:
    one, two, three = (IPv4Address(f"172.16.{n}.1") for n in (1, 2, 3))
    tap.set_peers(frozenset({one, two}))
    tap.copies.update({one: 5, two: 7})
    tap.set_peers(frozenset({two, three}))
    assert (dict(tap.copies), tap.copies[three]) == ({two: 7}, 0)


def test_a_tap_lives_through_a_link_that_goes_down_and_up(
    ends: tuple[Netns, Netns], tap: MulticastTap
) -> None:
    near, _ = ends
    near.down("near")
    tap.pump()
    near.up("near")
    near.running("near")
    tap.pump()
    send(near, "near", "224.0.0.5")
    tap.pump()
    assert tap.packets == 1


def test_a_tap_of_a_link_that_is_not_there_cannot_be_made(netns: Netns) -> None:
    with netns.entered(), pytest.raises(OSError, match="No such device"):
        MulticastTap("near", SUBNET)


class Recorded(MulticastTap):
    """A tap that keeps what it would send."""

    def __init__(self, interface: str, subnet: IPv4Network) -> None:
        super().__init__(interface, subnet)
        self.seen: list[bytes] = []

    def _copy(self, packet: bytes) -> None:
        self.seen.append(packet)


def test_what_a_local_sender_left_unfinished_is_completed_before_it_is_copied(
    ends: tuple[Netns, Netns],
) -> None:
    near, _ = ends
    with near.entered():
        tap = Recorded("near", SUBNET)
        bare = open_packet_socket("near", ETH_P_ALL, 1 << 16, outgoing_multicast(SUBNET))
    send(near, "near", "224.0.0.9", b"RIP")
    tap.pump()
    assert not udp_checksum_is_whole(ipv4(bare.recv(2000)))  # the kernel left it to a network card
    (copy,) = tap.seen
    assert ipv4(copy).payload[8:] == b"RIP"
    assert udp_checksum_is_whole(ipv4(copy))
    tap.close()
    bare.close()
