"""The deck's lab protected: order of the start, nothing in clear ever, recovery from whatever happens.

One lab for the whole file, and one capture of all its lines, from before the first cable until after
the end. The last test takes the lab down and looks at what the capture has.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.bench import recovery
from tests.live import labs, test_mtu
from tests.live.line_watch import ESP, GRE, UDP, LineWatch, line_watch
from tests.live.router_watch import RouterWatch, router_watch

pytestmark = pytest.mark.live

NAME = "test-ipsec"
HUB, SPOKE_A, SPOKE_B = "172.17.0.1", "172.16.1.1", "172.16.2.1"
NBMA_MTU = 1500
BOUND_S = 8.0
"""No fault may stop traffic so long; the machine is emulated, and shared. Figures are printed."""


class Protected:
    """The lab, its capture, and when it began."""

    def __init__(self, lab: LiveLab, lines: LineWatch, spoke_a: RouterWatch) -> None:
        self.lab = lab
        self.lines = lines
        self.spoke_a = spoke_a
        self.results = lab.verify()
        """Of the checks: they wait until everything is there."""

    def events(self) -> list[dict[str, Any]]:
        """All agents' events so far, in order of time."""
        return sorted(self.lab.run(self._past()), key=lambda event: event["at"])

    async def _past(self) -> list[dict[str, Any]]:
        told = await asyncio.gather(*(self.lab.lab.past(node) for node in ("hub", "spoke-a", "spoke-b")))
        return [event for events in told for event in events]

    def first(self, name: str, node: str, **facts: Any) -> dict[str, Any]:
        """The first event of that name on a node, with those facts."""
        for event in self.events():
            if event["event"] == name and event["node"] == node and facts.items() <= event.items():
                return event
        raise AssertionError(f"{node} told no {name} {facts}")

    def spis(self, node: str) -> set[str]:
        """Inbound SPIs of a router."""
        return {entry["spi_in"] for entry in self.lab.show(node, "ipsec")}


@pytest.fixture(scope="module")
def protected(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Protected]:
    path = labs.topology(tmp_path_factory.mktemp("ipsec"), "ipsec", NAME)
    with line_watch(NAME) as lines, router_watch(NAME, "spoke-a") as spoke:
        with dmvpn_labs.running(str(path)) as lab:
            assert lines.opened.is_set()
            assert spoke.opened.is_set()
            yield Protected(lab, lines, spoke)
        assert labs.left_behind(NAME) == []


def test_every_check_of_the_protected_lab_passes(protected: Protected) -> None:
    assert sum(r.name == "encryption" for r in protected.results) == 5


@pytest.mark.parametrize(("spoke", "nbma"), [("spoke-a", SPOKE_A), ("spoke-b", SPOKE_B)])
def test_ike_comes_first_then_the_sa_then_the_registration_then_the_adjacency(
    protected: Protected, spoke: str, nbma: str
) -> None:
    sa = protected.first("ipsec-up", spoke)
    sent = protected.first("registration-sent", spoke)
    bound = protected.first("peer-registered", "hub", nbma=nbma)
    done = protected.first("registered", spoke)
    assert sent["trigger"] == "ipsec-up"
    # Each end tells of what it did a moment later: one end's words may overtake the other's.
    assert sa["at"] <= sent["at"] <= done["at"]
    assert sa["at"] < bound["at"] < done["at"]
    print(f"{spoke}: SA -> registration sent {1000 * (sent['at'] - sa['at']):.0f} ms, "
          f"-> registered {1000 * (done['at'] - sa['at']):.0f} ms")  # fmt: skip
    of_spoke = [p for p in protected.lines.packets if {p.source, p.destination} == {nbma, HUB}]
    ike = next(p for p in of_spoke if p.is_ike)
    esp = next(p for p in of_spoke if p.protocol == ESP)
    assert (ike.source, ike.destination) == (nbma, HUB)
    assert ike.at < esp.at
    assert sum(p.is_ike and p.at < esp.at for p in of_spoke) >= 3  # two exchanges, but for the last reply
    up = protected.first("eigrp-neighbour-up", spoke)
    assert up["at"] > sa["at"]


def test_the_deck_s_order_is_seen_at_the_spoke_packet_by_packet(protected: Protected) -> None:
    """IKE, SA, registration in ESP, reply, adjacency, routing update; nothing of it earlier."""
    first = protected.spoke_a.first
    order = [
        ("IKE", first("ike", sent=True)),
        ("ESP", first("esp", sent=True)),
        ("registered", first("registration reply", sent=False)),
        ("hello from the hub", first("hello", sent=False)),
        ("routes from the hub", first("update with routes", sent=False)),
    ]
    print(", ".join(f"{name} +{at - order[0][1]:.2f} s" for name, at in order))
    assert [at for _, at in order] == sorted(at for _, at in order)
    assert first("ike", sent=True) < first("registration request", sent=True)
    secured = protected.first("ipsec-up", "spoke-a")["at"]
    assert secured < protected.first("eigrp-neighbour-up", "spoke-a")["at"]
    assert secured < first("registration reply", sent=False)


def test_the_first_packets_on_the_lines_are_leases_and_ike_and_never_gre(protected: Protected) -> None:
    before_esp = []
    for packet in protected.lines.packets:
        if packet.protocol == ESP:
            break
        before_esp.append(packet)
    assert any(packet.protocol == UDP and packet.port == 67 for packet in before_esp)  # from the very start
    assert any(packet.is_ike for packet in before_esp)
    assert not any(packet.protocol == GRE for packet in before_esp)


def test_gre_that_comes_without_an_sa_is_dropped_and_counted(protected: Protected) -> None:
    counted = dropped(protected, "hub", "protection-in")
    gre = "2000080000000001" + "00" * 20
    probe = (
        "import socket\n"
        "raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)\n"
        f"for _ in range(5): raw.sendto(bytes.fromhex('{gre}'), ('{HUB}', 0))\n"
    )
    protected.lab.must("isp", "python3", "-c", probe)
    assert dropped(protected, "hub", "protection-in") - counted == 5


def dropped(protected: Protected, node: str, chain: str) -> int:
    """Packets that a chain of the node's filter has dropped."""
    listed = json.loads(protected.lab.must(node, "nft", "-j", "list", "chain", "inet", "dmvpn", chain))
    (rule,) = [each["rule"] for each in listed["nftables"] if "rule" in each]
    (count,) = [each["counter"]["packets"] for each in rule["expr"] if "counter" in each]
    return int(count)


@pytest.mark.parametrize(
    ("fault", "how", "node"),
    [
        ("rekey", "child", "spoke-a"),
        ("rekey", "both", "hub"),
        ("sa-delete", "terminate", "spoke-a"),
        ("sa-delete", "terminate", "hub"),
        ("sa-delete", "state", "spoke-a"),
        ("sa-delete", "flush", "hub"),
        ("ike-restart", "kill", "spoke-a"),
        ("ike-restart", "kill", "hub"),
        ("ike-restart", "kill-flush", "spoke-a"),
        ("ike-restart", "kill-flush", "hub"),
        ("ike-restart", "stop", "hub"),
        ("agent-kill", "kill", "spoke-a"),
        ("agent-kill", "kill", "hub"),
    ],
)
def test_traffic_gets_over_each_fault_in_seconds(
    protected: Protected, fault: str, how: str, node: str
) -> None:
    began = time.time()
    outages = protected.lab.outage(fault, node, how)
    assert len(outages) == (2 if node == "hub" else 1)
    for each in outages:
        print(f"{fault} {how} on {node}: {each.spoke} secured after {each.secured_after_s:.2f} s, "
              f"{each.outage_s:.2f} s without replies, {each.lost} lost")  # fmt: skip
        assert each.outage_s < BOUND_S
        if fault == "rekey":
            assert each.lost <= 1
    assert protected.lab.faults() == []
    if fault != "agent-kill":  # a new agent registers, whatever became of the SAs
        spokes = {each.spoke for each in outages}
        assert {e["node"] for e in registrations(protected, began)} == (set() if fault == "rekey" else spokes)


def registrations(protected: Protected, began: float) -> list[dict[str, Any]]:
    """Those that a finished phase 2 has triggered since then."""
    return [event for event in protected.events() if event["event"] == "registration-sent"
            and event["trigger"] == "ipsec-up" and event["at"] >= began]  # fmt: skip


@pytest.mark.long
def test_traffic_comes_back_at_once_after_a_cut_of_the_hubs_line_for_5_s(protected: Protected) -> None:
    before = protected.spis("spoke-b")
    back_s = protected.lab.run(recovery.cut(protected.lab.lab))
    print(f"a 5 s cut: replies {back_s:.2f} s after the link")
    assert back_s < BOUND_S
    assert protected.spis("spoke-b") == before  # so short an outage ends no SA


def test_a_new_address_gets_new_sas_and_leaves_the_other_spoke_alone(protected: Protected) -> None:
    other = protected.spis("spoke-b")
    print({step.step: step.after_s for step in protected.lab.address_change("spoke-a").steps})
    new = protected.lab.show("spoke-a", "status")["tunnels"][0]["nbma"]
    assert new != SPOKE_A
    at_hub = {entry["nbma"]: entry for entry in protected.lab.show("hub", "ipsec")}
    assert set(at_hub) == {new, SPOKE_B}  # the old one is gone
    assert at_hub[new]["identity"] == f"spoke-a.{NAME}.test"
    assert protected.spis("spoke-b") == other
    up = next(e for e in protected.events()
              if e["event"] == "ipsec-up" and e["node"] == "hub" and e["nbma"] == new)  # fmt: skip
    noticed = next(e for e in protected.events() if e["event"] == "nbma-changed" and e["new"] == new)
    print(f"new address -> new SA at the hub {up['at'] - noticed['at']:.2f} s")
    assert up["at"] - noticed["at"] < BOUND_S
    protected.lab.undo()
    assert {entry["nbma"] for entry in protected.lab.show("hub", "ipsec")} == {SPOKE_A, SPOKE_B}


def test_the_largest_packet_of_the_lans_passes_both_tunnels_whole_and_a_larger_one_is_told(
    protected: Protected,
) -> None:
    code, said = test_mtu.ping(protected.lab, test_mtu.MTU)
    assert code == 0, said
    sent = [p for p in protected.lines.packets if p.protocol == ESP and p.length > test_mtu.MTU]
    assert len(sent) >= 4  # there and back, over two lines each
    assert all(packet.dont_fragment for packet in sent)
    assert max(packet.length for packet in sent) <= NBMA_MTU
    code, said = test_mtu.ping(protected.lab, test_mtu.MTU + 1)
    assert code == 1
    assert re.search(f"mtu ?= ?{test_mtu.MTU}", said), said


def test_tcp_through_two_protected_tunnels_is_told_what_fits(protected: Protected) -> None:
    protected.lab.must("host-1", "ip", "route", "flush", "cache")
    ends = protected.lab.run(test_mtu.transfer(protected.lab.lab))
    assert ends == (test_mtu.MSS - test_mtu.TIMESTAMPS,) * 2


def test_a_line_that_takes_less_than_a_tunnel_packet_is_no_black_hole(protected: Protected) -> None:
    """The ISP says so to the router, DF being set, and the router to the sender, who finds what passes."""
    narrow = 1300
    protected.lab.must("isp", "ip", "link", "set", "eth3", "mtu", str(narrow))
    try:
        size = what_passes(protected.lab)
        print(f"over a line of {narrow} octets packets of {size} pass")
        assert narrow - 120 < size < narrow
    finally:
        protected.lab.must("isp", "ip", "link", "set", "eth3", "mtu", str(NBMA_MTU))
        for node in ("host-1", "hub"):
            protected.lab.must(node, "ip", "route", "flush", "cache")


def what_passes(lab: LiveLab) -> int:
    """The size that host-1 finds by pings with DF and by what it is told of them; each takes one hop more."""
    size = test_mtu.MTU
    for _ in range(12):
        code, said = test_mtu.ping(lab, size)
        if code == 0:
            return size
        found = re.search(r"mtu ?= ?(\d+)", said)
        size = size if found is None else int(found[1])
    raise AssertionError(f"a black hole at {size}: {said}")


def test_no_packet_was_ever_in_pieces(protected: Protected) -> None:
    assert [packet for packet in protected.lines.packets if packet.fragment] == []
    for node in ("hub", "spoke-a", "spoke-b"):
        assert test_mtu.fragments(protected.lab, node) == 0


def test_the_lab_ends_and_nothing_was_ever_in_clear(protected: Protected) -> None:
    began = time.time()
    protected.lab.down()
    protected.lines.close()
    assert protected.lines.lost == 0
    assert protected.lines.cleartext() == []
    kinds = {packet.protocol for packet in protected.lines.packets}
    assert {ESP, UDP} <= kinds  # it did see what there was
    assert protected.lines.packets[-1].at > began - 10  # up to the end
    print(f"{sum(p.protocol == ESP for p in protected.lines.packets)} ESP packets, 0 GRE in clear")
