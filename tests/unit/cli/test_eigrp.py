"""`show NODE eigrp ...` prints what IOS prints."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from dmvpn_lab.cli.eigrp import text
from dmvpn_lab.eigrp import views
from dmvpn_lab.eigrp.speaker import Speaker
from tests.simulation.test_eigrp_hub import SUMMARY, settled, star

NEIGHBOURS = """\
EIGRP-IPv4 Neighbors for AS(1)
H   Address                 Interface              Hold Uptime   SRTT   RTO  Q  Seq
                                                   (sec)         (ms)       Cnt Num
0   10.1.0.2                eth0                     13 00:01:02    40   240  0  17"""
INTERFACES = """\
EIGRP-IPv4 Interfaces for AS(1)
                              Xmit Queue    Mean   Pacing Time   Bandwidth
Interface              Peers  Un/Reliable   SRTT   Un/Reliable   (kbit/s)
eth0                       1          0/0     40          0/22   50% of 1000"""
TOPOLOGY = """\
EIGRP-IPv4 Topology Table for AS(1)/ID(0.0.0.1)
Codes: P - Passive, A - Active, U - Update, Q - Query, R - Reply,
       r - reply Status, s - sia Status

P 10.1.0.0/16, 1 successors, FD is 15360000
        via Connected, eth0
P 192.168.0.0/16, 1 successors, FD is 25856
        via Summary (25856/0), Null0
P 192.168.1.0/24, 1 successors, FD is 25856
        via Connected, lan
P 192.168.2.0/24, 1 successors, FD is 15360256
        via 10.1.0.2 (15360256/25856), eth0"""


def hub() -> tuple[Speaker, float]:
    """A hub with a summary and one spoke, in quiet."""
    network = settled(star(1, hub={"summaries": (SUMMARY,)}))
    return network.routers["hub"].speaker, network.now


def test_neighbours_are_printed_in_their_columns() -> None:
    speaker, now = hub()
    neighbour = speaker.links["eth0"].neighbours[IPv4Address("10.1.0.2")]
    neighbour.since, neighbour.srtt_s, neighbour.rto_s, neighbour.last_sequence = now - 62, 0.040, 0.24, 17
    (fact,) = views.neighbours(speaker, now)
    assert text("neighbors", [fact | {"hold_s": 13.2}]) == NEIGHBOURS


def test_an_interface_has_the_rest_between_two_of_its_packets() -> None:
    speaker, _ = hub()
    link = speaker.links["eth0"]
    link.neighbours[IPv4Address("10.1.0.2")].srtt_s = 0.040
    link.config = replace(link.config, bandwidth_kbps=1000)
    link.pacing_s = link.config.pacing_s
    assert link.config.mtu == 1400
    (fact,) = views.interfaces(speaker)
    assert fact["pacing_ms"] == 1000 * 1400 * 8 / 500_000
    assert text("interfaces", [fact]) == INTERFACES


def test_the_topology_table_has_feasible_and_reported_distances() -> None:
    assert text("topology", views.topology(hub()[0])) == TOPOLOGY


def test_an_active_route_names_who_has_not_replied() -> None:
    facts = {
        "asn": 1, "router_id": "10.0.0.1",
        "routes": [{"prefix": "192.168.9.0/24", "active": True, "feasible_distance": None, "successors": 0,
                    "waiting": ["10.0.0.12"], "paths": []}],
    }  # fmt: skip
    assert text("topology", facts).splitlines()[-2:] == [
        "A 192.168.9.0/24, 0 successors, FD is Inaccessible", "      Remaining replies: 10.0.0.12",
    ]  # fmt: skip


def test_traffic_is_printed_by_kind_and_direction() -> None:
    counters = {"sent-hello": 5, "received-hello": 4, "sent-ack": 2, "malformed": 1}
    assert text("traffic", {"asn": 1, "counters": counters}).splitlines() == [
        "EIGRP-IPv4 Traffic Statistics for AS(1)", "  Hellos sent/received: 5/4",
        "  Updates sent/received: 0/0", "  Queries sent/received: 0/0", "  Replies sent/received: 0/0",
        "  Acks sent/received: 2/0", "  SIA-Queries sent/received: 0/0", "  SIA-Replies sent/received: 0/0",
        "  malformed: 1",
    ]  # fmt: skip


def test_a_router_without_neighbours_says_so() -> None:
    assert text("neighbors", []) == "EIGRP-IPv4 Neighbors: none"
