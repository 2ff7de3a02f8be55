"""Multicast out of an mGRE: one copy to each registered peer, nothing to anybody else.

Proved on the wire: a capture on every line of the ISP, parsed by `capture.py`.
"""

from __future__ import annotations

import signal
import socket
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.live.agents import HUB_NBMA, Control, Router, World, world
from tests.live.capture import ETH_P_ALL, PROTO_UDP, Capture, Frame, capture, udp_checksum_is_whole
from tests.live.speaker import Speaker

pytestmark = pytest.mark.live


class Net:
    """A hub with two registered spokes, and a third line on which nobody registered."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.hub = made.hub()
        self.one, self.two = made.spoke(1), made.spoke(2)
        self.stranger = made.spoke(3)
        self.at_hub = self.hub.start()
        self.at_one, self.at_two = self.one.start(), self.two.start()
        self.at_one.wait("registered")
        self.at_two.wait("registered")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    with world(tmp_path_factory.mktemp("net")) as made:
        yield Net(made)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def seen(net: Net) -> Iterator[Capture]:
    with capture(net.world.isp, net.world.lines()) as made:
        yield made


def sent(router: Router, control: Control, destination: str, payload: bytes = b"x") -> None:
    """Send, and wait until the tap has dealt with it."""
    before = control.counter("multicast-packets")
    router.udp(destination, payload)
    control.until("multicast-packets", before + 1)


def data(frames: list[Frame]) -> list[Frame]:
    """The copies: GRE with IPv4 in it."""
    return [each for each in frames if each.inner is not None]


@pytest.mark.parametrize("group", ["224.0.0.5", "239.1.2.3", "10.0.0.255", "255.255.255.255"])
def test_each_registered_peer_gets_exactly_one_copy_and_nobody_else_any(
    net: Net, seen: Capture, group: str
) -> None:
    sent(net.hub, net.at_hub, group, b"hello, spokes")
    frames = seen.read()
    assert Counter((each.line, each.ip.destination) for each in frames) == {
        (net.hub.line, "172.16.1.1"): 1,
        (net.hub.line, "172.16.2.1"): 1,
        (net.one.line, "172.16.1.1"): 1,
        (net.two.line, "172.16.2.1"): 1,
    }
    for each in frames:
        assert each.gre is not None
        assert each.inner is not None
        assert (each.ip.source, each.gre.key) == (HUB_NBMA, 1)
        assert (each.inner.source, each.inner.destination) == ("10.0.0.1", group)
        assert each.inner.payload[8:] == b"hello, spokes"


def test_nothing_leaves_in_clear_and_nothing_to_a_group_on_the_underlay(net: Net, seen: Capture) -> None:
    for group in ("224.0.0.5", "239.1.2.3", "10.0.0.255", "255.255.255.255"):
        sent(net.hub, net.at_hub, group)
        sent(net.one, net.at_one, group)
    for each in seen.read():
        assert each.gre is not None, each  # not outside GRE
        assert each.ip.destination in {HUB_NBMA, "172.16.1.1", "172.16.2.1"}, each


@pytest.mark.parametrize("size", [0, 1, 24, 1371, 1372])  # 1372 fills the tunnel's MTU
def test_the_udp_checksum_of_every_copy_is_whole(net: Net, seen: Capture, size: int) -> None:
    sent(net.hub, net.at_hub, "224.0.0.9", (bytes(range(256)) * 6)[:size])
    frames = data(seen.gre())
    assert len(frames) == 4
    for each in frames:
        assert each.inner is not None
        assert each.inner.protocol == PROTO_UDP
        assert udp_checksum_is_whole(each.inner)


def test_a_burst_is_copied_whole_and_in_order(net: Net, seen: Capture) -> None:
    before = net.at_hub.counter("multicast-packets")
    for number in range(200):
        net.hub.udp("224.0.0.5", number.to_bytes(2, "big"))
    net.at_hub.until("multicast-packets", before + 200)
    frames = data(seen.gre())
    for line in (net.one.line, net.two.line):
        numbers = [each.inner.payload[8:10] for each in frames if each.line == line and each.inner]
        assert numbers == [number.to_bytes(2, "big") for number in range(200)]
    assert net.at_hub.counter("multicast-copies-failed") == 0


def test_a_spokes_multicast_goes_to_the_hub_alone(net: Net, seen: Capture) -> None:
    sent(net.one, net.at_one, "224.0.0.5")
    assert [(each.line, each.way) for each in seen.read()] == [
        (net.hub.line, ("172.16.1.1", HUB_NBMA)),
        (net.one.line, ("172.16.1.1", HUB_NBMA)),
    ]


def test_the_copies_of_each_peer_are_counted(net: Net) -> None:
    before = {each["nbma"]: each["packets"] for each in net.at_hub.query("multicast")}
    assert set(before) == {"172.16.1.1", "172.16.2.1"}
    copies = net.at_hub.counter("multicast-copies")
    sent(net.hub, net.at_hub, "224.0.0.5")
    after = {each["nbma"]: each["packets"] for each in net.at_hub.query("multicast")}
    assert after == {nbma: count + 1 for nbma, count in before.items()}
    assert net.at_hub.counter("multicast-copies") == copies + 2


def test_a_capture_on_the_tunnel_shows_what_was_sent_once_and_none_of_the_copies(net: Net) -> None:
    with net.hub.netns.entered():
        tunnel = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
        tunnel.bind(("tunnel0", ETH_P_ALL))
    copies = net.at_hub.counter("multicast-copies")
    sent(net.hub, net.at_hub, "224.0.0.5", b"once")
    assert net.at_hub.counter("multicast-copies") == copies + 2
    assert tunnel.recv(2000).endswith(b"once")
    with pytest.raises(BlockingIOError):
        tunnel.recv(2000)
    tunnel.close()


def test_broadcasts_leave_again_after_the_tunnel_was_down_be_there_an_agent_or_not(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    spoke.start().wait("registered")
    hub.netns.down("tunnel0")
    hub.netns.up("tunnel0")
    spoke.ping("10.0.0.1")  # the neighbours are back, and what is restored with them
    sent(hub, at_hub, "255.255.255.255")
    hub.end(signal.SIGKILL)
    hub.netns.down("tunnel0")
    hub.netns.up("tunnel0")
    with pytest.raises(OSError, match="Invalid argument"):  # the kernel forgot
        hub.udp("255.255.255.255")
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    sent(hub, at_hub, "255.255.255.255")
    sent(hub, at_hub, "10.0.0.255")


def test_before_the_first_registration_the_hub_sends_nothing_to_anybody(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    with capture(lab.isp, lab.lines()) as seen:
        for destination in ("224.0.0.5", "10.0.0.255", "255.255.255.255"):
            sent(hub, at_hub, destination)
        hub.udp("10.0.0.11")
        assert at_hub.query("multicast") == []
        assert seen.read() == []
        # Bait: the capture does see what leaves, as soon as somebody has registered.
        spoke.start().wait("registered")
        sent(hub, at_hub, "224.0.0.5")
        assert (spoke.line, (HUB_NBMA, "172.16.1.1")) in {(e.line, e.way) for e in data(seen.gre())}


def test_a_peer_that_moved_gets_its_copy_at_the_new_address_and_none_at_the_old(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub, at_spoke = hub.start(), spoke.start()
    at_spoke.wait("registered")
    spoke.move("172.16.1.1/24", "172.16.1.77/24")
    at_hub.wait("peer-registered", nbma="172.16.1.77", previous_nbma="172.16.1.1")
    at_spoke.wait("registered", nbma="172.16.1.77")
    with capture(lab.isp, lab.lines()) as seen:
        sent(hub, at_hub, "224.0.0.5")
        ways = [(each.line, each.ip.destination) for each in data(seen.gre())]
    assert sorted(ways) == sorted([(hub.line, "172.16.1.77"), (spoke.line, "172.16.1.77")])
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.77"}


def test_a_peer_whose_holding_time_is_over_gets_no_copy_and_has_no_neighbour(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    speaker = Speaker(spoke, "10.0.0.11/24")
    assert speaker.ask(speaker.registration(holding_time_s=1)).cies[0].code == 0
    registered = at_hub.wait("peer-registered", holding_time_s=1)
    expired = at_hub.wait("peer-expired", protocol="10.0.0.11", nbma="172.16.1.1")
    # The holding time began with the kernel's verdict, a moment before the event told of it.
    assert 0.95 <= expired["at"] - registered["at"] < 2.0
    assert hub.neighbours() == {}
    assert at_hub.query("nhrp") == at_hub.query("multicast") == []
    with capture(lab.isp, lab.lines()) as seen:
        sent(hub, at_hub, "224.0.0.5")
        assert seen.read() == []


def test_two_addresses_behind_one_nbma_address_get_one_copy_together(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    speaker = Speaker(spoke, "10.0.0.11/24")
    for number, protocol in enumerate(("10.0.0.11", "10.0.0.21")):
        assert speaker.ask(speaker.registration(IPv4Address(protocol), number=number)).cies[0].code == 0
    with capture(lab.isp, lab.lines()) as seen:
        sent(hub, at_hub, "224.0.0.5")
        assert len([each for each in data(seen.gre()) if each.line == spoke.line]) == 1


def test_without_map_multicast_dynamic_a_registered_peer_gets_no_copy(lab: World) -> None:
    hub, spoke = lab.hub(map_multicast_dynamic=False), lab.spoke(1)
    at_hub = hub.start()
    spoke.start().wait("registered")
    with capture(lab.isp, lab.lines()) as seen:
        sent(hub, at_hub, "224.0.0.5")
        assert data(seen.gre()) == []
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}


def test_a_copy_reaches_an_application_of_the_spoke(net: Net) -> None:
    with net.one.netns.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("", 5000))
    joined = socket.inet_aton("239.9.9.9") + socket.inet_aton("10.0.0.11")
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    receiver.settimeout(5)
    net.hub.udp("239.9.9.9", b"to the application")
    assert receiver.recv(100) == b"to the application"  # through the kernel's own checksum test
    receiver.close()
