"""`show NODE dmvpn`, `nhrp detail`, `nhrp nhs`, `nhrp multicast`, `nhrp traffic`: IOS's layout, and JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmvpn_lab.answers import MulticastEntry, NhrpEntry, NhsEntry
from dmvpn_lab.cli import dmvpn, nhrp
from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.constants import CieCode, ErrorCode, PacketType
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.agents import beside, knowing
from tests.unit.backends.recorder import Recorder
from tests.unit.cli.conftest import Run

HUB: NhrpEntry = {
    "interface": "tunnel0", "network_id": 1, "protocol": "10.0.0.1", "prefix_length": 32, "via": "10.0.0.1",
    "nbma": "172.17.0.1", "type": "static", "flags": ["multicast", "nhs"], "holding_time_s": None,
    "expires_in_s": None, "created_s_ago": 93784.0,
}  # fmt: skip
OTHER: NhrpEntry = {
    "interface": "tunnel0", "network_id": 1, "protocol": "10.0.0.12", "prefix_length": 32, "via": "10.0.0.12",
    "nbma": "172.16.2.1", "type": "dynamic", "flags": ["nat", "resolved"], "holding_time_s": 600,
    "expires_in_s": 147.9, "created_s_ago": 32.5,
}  # fmt: skip
LAN: NhrpEntry = {
    **OTHER, "protocol": "192.168.2.0", "prefix_length": 24, "flags": ["shortcut"], "created_s_ago": 31.0,
}  # fmt: skip
SERVER: NhsEntry = {
    "interface": "tunnel0", "protocol": "10.0.0.1", "nbma": "172.17.0.1", "priority": 1,
    "state": "registered",
    "requests_sent": 105434, "requests_failed": 0, "replies_received": 105434, "replied_s_ago": 49.2,
    "renews_in_s": 10.0, "last_error": None,
}  # fmt: skip
PEER: MulticastEntry = {"interface": "tunnel0", "nbma": "172.17.0.1", "origin": "static", "packets": 7}
TUNNEL = {"interface": "tunnel0", "mode": "multipoint", "network_id": 1, "address": "10.0.0.11/24",
          "nbma": "172.16.1.1", "outside": None, "up": True}  # fmt: skip
COUNTS = {"received-registration-reply": 3, "sent-registration-request": 4, "sent-resolution-request": 1,
          "unknown-reply": 1}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "status": {"version": "0.1.0", "uptime_s": 1.0, "tunnels": [TUNNEL]},
    "nhrp": [HUB, OTHER, LAN],
    "nhs": [SERVER],
    "multicast": [PEER],
    "counters": {"tunnel0": COUNTS},
}

BRIEF = """\
Interface: tunnel0, IPv4 NHRP Details
Type:Spoke, NHRP Peers:3,

# Ent  Peer NBMA Addr Peer Tunnel Add State  UpDn Tm Attrb
----- --------------- --------------- ----- -------- -----
    2 172.16.2.1            10.0.0.12    UP 00:00:32    DN
      172.16.2.1            10.0.0.12    UP 00:00:31   DT1
    1 172.17.0.1             10.0.0.1    UP    1d02h     S
"""
DETAIL = """\
Interface tunnel0 is up/up, Addr. is 10.0.0.11, VRF ""
   Tunnel Src./Dest. addr: 172.16.1.1/MGRE, Tunnel VRF ""
   Protocol/Transport: "multi-GRE/IP"
Type:Spoke, Total NBMA Peers (v4/v6): 2/0

IPv4 NHS:
10.0.0.1        RE priority = 1 cluster = 0

# Ent  Peer NBMA Addr Peer Tunnel Add State  UpDn Tm Attrb    Target Network
----- --------------- --------------- ----- -------- ----- -----------------
    2 172.16.2.1            10.0.0.12    UP 00:00:32    DN      10.0.0.12/32
      172.16.2.1            10.0.0.12    UP 00:00:31   DT1    192.168.2.0/24
    1 172.17.0.1             10.0.0.1    UP    1d02h     S       10.0.0.1/32
"""
CACHE = """\
10.0.0.1/32 via 10.0.0.1
   tunnel0 created    1d02h, never expire
   Type: static, Flags: used
   NBMA address: 172.17.0.1
10.0.0.12/32 via 10.0.0.12
   tunnel0 created 00:00:32, expire 00:02:27
   Type: dynamic, Flags: router nhop nat
   NBMA address: 172.16.2.1
192.168.2.0/24 via 10.0.0.12
   tunnel0 created 00:00:31, expire 00:02:27
   Type: dynamic, Flags: router rib
   NBMA address: 172.16.2.1
"""
SERVERS = """\
Legend: E=Expecting replies, R=Responding, W=Waiting, D=Dynamic
tunnel0:
10.0.0.1  RE
"""
SERVERS_DETAIL = """\
Legend: E=Expecting replies, R=Responding, W=Waiting, D=Dynamic
tunnel0:
10.0.0.1  RE  NBMA Address: 172.17.0.1 priority = 1 cluster = 0  req-sent 105434  req-failed 0  \
repl-recv 105434 (00:00:49 ago)
"""
MULTICAST = """\
  I/F     NBMA address
tunnel0   172.17.0.1         Flags: static          (Enabled)  7 packets
"""
TRAFFIC = """\
tunnel0:
   Sent: Total 5
         1 Resolution Request  0 Resolution Reply  4 Registration Request
         0 Registration Reply  0 Purge Request  0 Purge Reply
         0 Error Indication  0 Traffic Indication
   Rcvd: Total 3
         0 Resolution Request  0 Resolution Reply  0 Registration Request
         3 Registration Reply  0 Purge Request  0 Purge Reply
         0 Error Indication  0 Traffic Indication
   unknown-reply: 1
"""


def shown(run: Run, recorder: Recorder, *words: str) -> str:
    with beside(knowing(recorder, {"spoke-a": ANSWERS})):
        said = run("show", "spoke-a", *words)
    assert said.code == 0, said.err
    return said.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("nhrp", "detail"), CACHE),
        (("nhrp", "nhs"), SERVERS),
        (("nhrp", "nhs", "detail"), SERVERS_DETAIL),
        (("nhrp", "multicast"), MULTICAST),
        (("nhrp", "traffic"), TRAFFIC),
        (("dmvpn",), f"{dmvpn.LEGEND}\n\n{BRIEF}"),
        (("dmvpn", "detail"), f"{dmvpn.LEGEND}\n\n{DETAIL}"),
    ],
)
@pytest.mark.usefixtures("deck")
def test_the_layout_is_that_of_ios(run: Run, recorder: Recorder, words: tuple[str, ...], text: str) -> None:
    assert shown(run, recorder, *words) == text


def test_traffic_shows_every_counter_that_an_agent_may_have_with_its_value() -> None:
    named = [value for name, value in vars(counters).items() if name.isupper() and isinstance(value, str)]
    coded = [counters.refused(code) for code in CieCode if code]
    for direction in ("sent", "received"):
        coded += [counters.error(code, direction=direction) for code in (*ErrorCode, 99)]
    own = ["neighbour-restored", "send-failed", "multicast-copies", "state-file-failed", "received-200"]
    counts = {name: number for number, name in enumerate([*named, *coded, *own], 1000)}
    for direction in ("sent", "received"):
        for kind in PacketType:
            counts[getattr(counters, direction)(kind)] = 5000 + kind + 100 * (direction == "sent")
    said = nhrp.text(("traffic",), {"tunnel0": counts})
    assert len(named) >= 17
    for name, value in counts.items():
        shown_as = f"   {name}: {value}\n" if value < 5000 else f"{value} "
        assert shown_as in said + "\n", name


@pytest.mark.parametrize("words", nhrp.QUERIES)
@pytest.mark.usefixtures("deck")
def test_as_json_it_is_what_the_agent_says(run: Run, recorder: Recorder, words: tuple[str, ...]) -> None:
    document = json.loads(shown(run, recorder, "nhrp", *words, "--json"))
    assert document == ANSWERS[nhrp.QUERIES[words]]


@pytest.mark.usefixtures("deck")
def test_dmvpn_as_json_is_the_structure_behind_the_table(run: Run, recorder: Recorder) -> None:
    (tunnel,) = json.loads(shown(run, recorder, "dmvpn", "--json"))
    assert tunnel["servers"] == [{"address": "10.0.0.1", "status": "RE", "priority": 1}]
    assert [(p["tunnel_address"], p["attributes"], p["target"]) for p in tunnel["peers"]] == [
        ("10.0.0.12", "DN", "10.0.0.12/32"), ("10.0.0.12", "DT1", "192.168.2.0/24"),
        ("10.0.0.1", "S", "10.0.0.1/32"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "error", "shown"),
    [("registering", None, "NHRP"), ("refused", "code 4", "NHRP"), ("waiting", "no IPsec SA with x", "IKE"),
     ("registered", None, "UP")],
)  # fmt: skip
def test_a_server_that_does_not_answer_is_not_up(state: str, error: str | None, shown: str) -> None:
    server = {**SERVER, "state": state, "last_error": error}
    (tunnel,) = dmvpn.dmvpn(ANSWERS["status"], [dict(HUB)], [server])
    assert tunnel["peers"][0]["state"] == shown


def test_a_hub_has_no_servers_and_says_so() -> None:
    (tunnel,) = dmvpn.dmvpn(ANSWERS["status"], [], [])
    assert tunnel["type"] == "Hub"
    assert "IPv4 NHS" not in dmvpn.text([tunnel], detail=True)


IPV6 = """\

Interface: tunnel0, IPv6 NHRP Details
Type:Spoke, Total NBMA Peers (v4/v6): 1/0
    1.Peer NBMA Address: 172.16.2.1
        Tunnel IPv6 Address: 2001:db8::12
        IPv6 Target Network: 2001:db8::12/128
        # Ent: 2, Status: UP, UpDn Time: 00:00:32, Cache Attrib: D
    2.Peer NBMA Address: 172.16.2.1
        Tunnel IPv6 Address: fe80::12
        IPv6 Target Network: fe80::12/128
        # Ent: 0, Status: UP, UpDn Time: 00:00:32, Cache Attrib: D"""


def test_ipv6_has_a_section_of_its_own_in_ioss_layout() -> None:
    further = [
        {**OTHER, "protocol": each, "via": each, "prefix_length": 128, "flags": ["resolved"]}
        for each in ("2001:db8::12", "fe80::12")
    ]
    server = {**SERVER, "protocol": "2001:db8::1"}
    (tunnel,) = dmvpn.dmvpn(
        ANSWERS["status"], [*map(dict, ANSWERS["nhrp"]), *further], [dict(SERVER), server]
    )
    assert dmvpn.text([tunnel], detail=False) == f"{dmvpn.LEGEND}\n\n{BRIEF}{IPV6}"
    detail = dmvpn.text([tunnel], detail=True)
    assert detail.endswith(IPV6)
    assert "\nIPv6 NHS:\n2001:db8::1     RE priority = 1 cluster = 0\n" in detail


@pytest.mark.parametrize("words", [("nhrp", "detail", "nhs"), ("dmvpn", "brief"), ("nhs", "detail")])
def test_what_no_show_has_is_told(run: Run, deck: Plan, words: tuple[str, ...]) -> None:
    said = run("show", "spoke-a", *words)
    assert said.code == 2
    assert words[0] in said.err
