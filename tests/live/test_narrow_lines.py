"""TCP through two protected tunnels, over lines that take less than a tunnel's packet.

The lines become narrow in the middle of the transfer, and nobody is told but by what the ISP says of a
packet that does not fit: to the router, which tells the sender of what is in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dmvpn_lab.spec import transform
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import bulk, labs
from tests.live.bulk import Transfer
from tests.live.line_watch import ESP, LineWatch, line_watch

pytestmark = [pytest.mark.live, pytest.mark.long]

NAME = "test-narrow"
OCTETS = 3_000_000
FIRST, SECOND = 1300, 1200
"""What the line of spoke B takes after a third of the transfer, and that of the hub after two."""
GRE, UDP = 8, 8
"""Octets of GRE with its key; of ESP's UDP, which only NAT needs."""
SILENT_AT_MOST_S = 30.0
"""No black hole: TCP itself would wait longer each time. What it really takes is printed."""
DEAF = (
    "table ip deaf { chain out { type filter hook output priority filter; "
    "icmp type destination-unreachable icmp code frag-needed counter drop; }; }"
)


@dataclass(frozen=True, slots=True)
class Narrow:
    """A lab, and everything on its lines."""

    lab: LiveLab
    lines: LineWatch

    def told(self) -> int:
        """How often the ISP has said that a packet is too big."""
        return sum(packet.too_big for packet in self.lines.packets)


@pytest.fixture(scope="module")
def narrow(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Narrow]:
    path = labs.topology(tmp_path_factory.mktemp("narrow"), "ipsec", NAME)
    with line_watch(NAME) as lines, dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        yield Narrow(lab, lines)
    assert labs.left_behind(NAME) == []


def send(narrow: Narrow) -> Transfer:
    """The transfer, with lines that become narrow; nothing of it may be lost, in pieces or in clear."""
    steps = [bulk.narrow(narrow.lab, "eth3", FIRST), bulk.narrow(narrow.lab, "eth1", SECOND)]
    pieces = bulk.counters(narrow.lab, "IpFragCreates")
    refused = bulk.counters(narrow.lab, "IpFragFails")["isp"]
    timeouts = bulk.counters(narrow.lab, "TcpExtTCPTimeouts")["host-1"]
    with bulk.widths_restored(narrow.lab):
        done = narrow.lab.run(bulk.transfer(narrow.lab, "host-1", "host-2", "192.168.2.2", OCTETS, steps))
        refused = bulk.counters(narrow.lab, "IpFragFails")["isp"] - refused
        timeouts = bulk.counters(narrow.lab, "TcpExtTCPTimeouts")["host-1"] - timeouts
        assert bulk.counters(narrow.lab, "IpFragCreates") == pieces
    print(f"{done}; {refused} packets refused by the ISP, {timeouts} timeouts of TCP")
    assert done.octets == OCTETS
    assert refused >= len(steps)  # each line did refuse
    assert done.segment < SECOND
    assert done.silence_s < SILENT_AT_MOST_S
    assert narrow.lines.cleartext() == []
    assert [packet for packet in narrow.lines.packets if packet.fragment] == []
    assert all(packet.dont_fragment for packet in narrow.lines.packets if packet.protocol == ESP)
    return done


def test_a_long_transfer_finds_what_lines_take_that_become_narrow_under_it(narrow: Narrow) -> None:
    told = narrow.told()
    done = send(narrow)
    assert narrow.told() - told >= 2
    rule = transform.parse("esp-gcm 128")
    assert done.path_mtu == max(mtu for mtu in range(SECOND) if rule.packet(mtu + GRE) - UDP <= SECOND)


def test_where_the_isp_says_nothing_a_sender_that_probes_gets_through(narrow: Narrow) -> None:
    told = narrow.told()
    with deaf(narrow.lab):
        send(narrow)
    assert narrow.told() == told


def test_no_packet_came_too_late_for_the_replay_window(narrow: Narrow) -> None:
    for node in ("hub", "spoke-a", "spoke-b"):
        lines = narrow.lab.must(node, "cat", "/proc/net/xfrm_stat").splitlines()
        (late,) = [line.split()[1] for line in lines if line.startswith("XfrmInStateSeqError")]
        assert late == "0", node
    assert narrow.lines.lost == 0


@contextlib.contextmanager
def deaf(lab: LiveLab) -> Iterator[None]:
    """An ISP that keeps to itself what does not fit, and a sender that looks for it (RFC 4821)."""
    lab.must("isp", "nft", DEAF)
    lab.must("host-1", "sysctl", "-w", "net.ipv4.tcp_mtu_probing=1")
    try:
        yield
    finally:
        lab.must("host-1", "sysctl", "-w", "net.ipv4.tcp_mtu_probing=0")
        lab.must("isp", "nft", "delete", "table", "ip", "deaf")
