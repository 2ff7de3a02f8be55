"""Packet sockets on a veth: what they share for NHRP and the tap."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from dmvpn_lab.linux.nhrp_socket import BATCH, ETH_P_NHRP, FEW, NhrpSocket
from dmvpn_lab.linux.packet_socket import open_packet_socket, send_packet
from tests.live.namespaces import Netns

pytestmark = pytest.mark.root
TUNSETIFF, IFF_TUN = 0x400454CA, 0x0001
TUN_NHRP = struct.pack("!HH", 0, ETH_P_NHRP)
"""What a TUN device writes before an NHRP packet."""
BROADCAST = b"\xff" * 6


@pytest.fixture
def tun() -> Iterator[tuple[Netns, int]]:
    """A link whose packets the test reads: it has no link-layer addresses, as point-to-point GRE."""
    netns = Netns()
    netns.sysctl("net.ipv6.conf.default.disable_ipv6", "1")  # it would send its own
    with netns.entered():
        wire = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(wire, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN))
    netns.up("tun0")
    yield netns, wire
    os.close(wire)
    netns.close()


def test_packets_of_the_protocol_arrive_and_of_no_other(pair: tuple[Netns, Netns]) -> None:
    near, far = pair
    with near.entered():
        sender = open_packet_socket("near", ETH_P_NHRP, 1 << 16)
    with far.entered():
        nhrp = NhrpSocket("far")
    send_packet(sender, b"not NHRP", "near", 0x88B5, BROADCAST)
    send_packet(sender, b"NHRP", "near", ETH_P_NHRP, BROADCAST)
    assert select.select([nhrp], [], [], 5)[0]
    assert list(nhrp.receive()) == [(b"NHRP", None)]
    assert list(nhrp.receive()) == []
    sender.close()
    nhrp.close()


def test_a_burst_is_read_in_portions_and_nothing_of_it_is_lost(pair: tuple[Netns, Netns]) -> None:
    near, far = pair
    with near.entered():
        sender = open_packet_socket("near", ETH_P_NHRP, 1 << 16)
    with far.entered():
        nhrp = NhrpSocket("far")
    burst = [number.to_bytes(2, "big") for number in range(3 * BATCH + 1)]
    for each in burst:
        send_packet(sender, each, "near", ETH_P_NHRP, BROADCAST)
    found: list[bytes] = []
    while len(found) < len(burst):
        assert select.select([nhrp], [], [], 5)[0], f"{len(found)} arrived"
        portion = list(nhrp.receive())
        assert 1 <= len(portion) <= BATCH
        found += [data[:2] for data, _nbma in portion]
    assert found == burst
    sender.close()
    nhrp.close()


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, BATCH, 2 * BATCH + 3])
def test_packets_leave_in_their_order_however_many_go_at_once(tun: tuple[Netns, int], count: int) -> None:
    netns, wire = tun
    with netns.entered():
        nhrp = NhrpSocket("tun0")
    burst = [bytes([number % 256]) * (1 + 7 * number) for number in range(count)]
    assert nhrp.send(burst, [IPv4Address("172.16.1.1")] * count) == 0
    assert [os.read(wire, 65536) for _ in burst] == [TUN_NHRP + each for each in burst]
    nhrp.close()


@pytest.mark.parametrize("count", [1, BATCH + 1])
def test_packets_that_the_kernel_does_not_take_are_counted_and_the_others_leave(
    tun: tuple[Netns, int], count: int
) -> None:
    netns, wire = tun
    with netns.entered():
        nhrp = NhrpSocket("tun0")
    to, wide = [IPv4Address("172.16.1.1")] * (count + 2), bytes(4000)
    good = [bytes([number]) for number in range(count)]
    assert nhrp.send([wide, *good, wide], to) == 2
    assert [os.read(wire, 65536) for _ in good] == [TUN_NHRP + each for each in good]
    netns.down("tun0")
    assert nhrp.send(good, to[:count]) == count
    netns.up("tun0")
    assert nhrp.send(good, to[:count]) == 0
    nhrp.close()


def test_its_receive_buffer_is_larger_than_the_host_gives_to_everybody(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    with near.entered():
        nhrp = NhrpSocket("near")
    assert nhrp._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 2 * (8 << 20)
    nhrp.close()


def test_a_socket_that_lived_through_a_down_link_sends_at_the_first_try(pair: tuple[Netns, Netns]) -> None:
    near, far = pair
    with far.entered():
        nhrp = NhrpSocket("far")
    with near.entered():
        sender = open_packet_socket("near", ETH_P_NHRP, 1 << 16)
    near.down("near")
    near.up("near")
    near.running("near")
    send_packet(sender, b"after", "near", ETH_P_NHRP, BROADCAST)  # ENETDOWN of before is swallowed
    assert select.select([nhrp], [], [], 5)[0]
    assert list(nhrp.receive()) == [(b"after", None)]
    sender.close()
    nhrp.close()


def test_sending_on_a_link_that_is_down_raises(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    with near.entered():
        sender = open_packet_socket("near", ETH_P_NHRP, 1 << 16)
    near.down("near")
    with pytest.raises(OSError, match="Network is down") as caught:
        send_packet(sender, b"x", "near", ETH_P_NHRP, BROADCAST)
    assert caught.value.errno == errno.ENETDOWN
    sender.close()


def test_a_link_that_goes_down_while_a_socket_listens_is_no_error_to_the_reader(
    pair: tuple[Netns, Netns],
) -> None:
    near, _ = pair
    with near.entered():
        nhrp = NhrpSocket("near")
    near.down("near")
    assert list(nhrp.receive()) == []
    near.ip("link del near")
    assert list(nhrp.receive()) == []
    nhrp.close()


def test_a_filter_that_the_kernel_rejects_leaves_no_socket_behind(pair: tuple[Netns, Netns]) -> None:
    near, _ = pair
    with near.entered(), pytest.raises(OSError, match="Invalid argument"):
        open_packet_socket("near", ETH_P_NHRP, 1 << 16, [(0x15, 9, 9, 0)])  # jumps past its end
