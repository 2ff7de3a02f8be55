"""IPv4 and IPv6 in the same tunnels, in a whole lab."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live
SPOKE_A = ["10.0.0.11", "2001:db8::11", "fe80::11"]
SPOKE_B = ["10.0.0.12", "2001:db8::12", "fe80::12"]
FAR = "2001:db8:102::2"
PHASE_3 = ("    unique: false\n", "    unique: false\n    phase: 3\n")
BGP = "    routing: {protocol: bgp}\n"
PHASE_2 = (BGP, "    phase: 2\n    routing: {protocol: bgp, next-hop-self: false}\n")
IPSEC = ("{protocol: bgp}\n", "{protocol: bgp}\n    ipsec: {authentication: certificates}\n")


@pytest.fixture(scope="module")
def lab(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = labs.topology(tmp_path_factory.mktemp("ipv6"), "ipv6", "test-ipv6")
    with dmvpn_labs.running(str(path)) as made:
        results = made.verify()
        assert [r for r in results if r.name == "reachability" and "2001:db8" in r.observed]
        yield made
    assert labs.left_behind("test-ipv6") == []


def neighbours(lab: LiveLab, node: str) -> dict[str, str]:
    """Protocol -> NBMA address of the tunnel's permanent neighbours, of both families."""
    show = ("neigh", "show", "dev", "tunnel0")
    found = [each for family in ("-4", "-6")
             for each in json.loads(lab.must(node, "ip", "-json", family, *show))]  # fmt: skip
    return {each["dst"]: each["lladdr"] for each in found if each["state"] == ["PERMANENT"]}


@pytest.mark.long
def test_the_kernel_has_each_address_of_each_peer(lab: LiveLab) -> None:
    assert neighbours(lab, "hub") == {
        **dict.fromkeys(SPOKE_A, "172.16.1.1"),
        **dict.fromkeys(SPOKE_B, "172.16.2.1"),
    }
    assert neighbours(lab, "spoke-a") == dict.fromkeys(["10.0.0.1", "2001:db8::1", "fe80::1"], "172.17.0.1")


def test_routes_of_ipv6_lead_to_a_link_local_address_that_is_registered(lab: LiveLab) -> None:
    (route,) = json.loads(lab.must("spoke-a", "ip", "-json", "-6", "route", "show", "2001:db8:100::/64"))
    assert (route["gateway"], route["dev"], route["protocol"]) == ("fe80::1", "tunnel0", "bgp")


def test_an_ipv6_address_that_nobody_registered_is_unreachable_and_nobody_is_asked_in_the_tunnel(
    lab: LiveLab,
) -> None:
    lab.must("spoke-a", "nft", "add", "table", "inet", "watch")
    lab.must("spoke-a", "nft", "add chain inet watch out { type filter hook output priority 0; }")
    lab.must(
        "spoke-a", "nft", 'add rule inet watch out oifname "tunnel0" icmpv6 type nd-neighbor-solicit counter'
    )
    said = lab.exec("spoke-a", "ping", "-n", "-c", "1", "-W", "3", "2001:db8::99")
    assert said.exit_code != 0
    assert "packets 0 " in lab.must("spoke-a", "nft", "list", "table", "inet", "watch")
    lab.must("spoke-a", "nft", "delete", "table", "inet", "watch")


def test_the_largest_ipv6_packet_passes_whole_and_a_larger_one_is_told_its_size(lab: LiveLab) -> None:
    size = 1400 - 48
    lab.must("host-1", "ping", "-n", "-c", "1", "-W", "3", "-M", "do", "-s", str(size), FAR)
    said = lab.exec("host-1", "ping", "-n", "-c", "1", "-W", "3", "-M", "do", "-s", str(size + 1), FAR)
    assert said.exit_code != 0
    assert "mtu=1400" in said.stdout or "Packet too big" in said.stdout, said


@pytest.mark.long
def test_a_new_nbma_address_moves_every_address_and_no_other_spoke(lab: LiveLab) -> None:
    steps = lab.address_change("spoke-a").steps
    assert [step.step for step in steps][:2] == ["registered", "multicast"]
    moved = {**dict.fromkeys(SPOKE_A, "172.16.1.2"), **dict.fromkeys(SPOKE_B, "172.16.2.1")}
    assert neighbours(lab, "hub") == moved
    assert {e["protocol"]: e["nbma"] for e in lab.show("hub", "nhrp")} == moved
    lab.must("host-1", "ping", "-n", "-c", "1", "-W", "5", FAR)
    lab.undo()
    assert neighbours(lab, "hub")["fe80::11"] == "172.16.1.1"


@pytest.mark.long
def test_a_killed_agent_of_the_hub_loses_no_ipv6_packet_and_no_neighbour(lab: LiveLab) -> None:
    before = neighbours(lab, "hub")
    (agent,) = lab.must(
        "hub", "sh", "-c", "ss -xlpn src /run/dmvpn-lab/agent.sock | grep -o 'pid=[0-9]*'"
    ).split()
    kill = f"(sleep 1; kill -9 {agent.removeprefix('pid=')}) & ping -n -c 30 -i 0.2 -W 3 2001:db8::11"
    assert "30 received, 0% packet loss" in lab.must("hub", "sh", "-c", kill)
    assert {e["protocol"] for e in lab.show("hub", "nhrp")} == {*SPOKE_A, *SPOKE_B}
    assert neighbours(lab, "hub") == before


@pytest.mark.long
def test_in_phase_2_the_next_hop_of_ipv6_is_resolved_and_packets_go_directly(
    dmvpn_labs: Labs, tmp_path: Path
) -> None:
    path = labs.topology(tmp_path, "ipv6", "test-ipv6-2", PHASE_2)
    with dmvpn_labs.running(str(path)) as made:
        results = made.verify()
        found = {r.name for r in results if "2001:db8" in r.expected}
        assert found >= {"resolution", "shortcut", "reachability"}
        said = made.must("host-1", "ping", "-n", "-c", "30", "-i", "0.2", "-W", "3", FAR)
        assert "30 received, 0% packet loss" in said, said
        entries = [e for e in made.show("spoke-a", "nhrp") if "resolved" in e["flags"]]
        assert {e["nbma"] for e in entries if ":" in e["protocol"]} == {"172.16.2.1"}


@pytest.mark.long
@pytest.mark.parametrize("changes", [(PHASE_3,), (PHASE_3, IPSEC)], ids=["phase-3", "phase-3-ipsec"])
def test_phase_3_shortens_ipv6_by_a_route_of_its_own_table(
    dmvpn_labs: Labs, tmp_path: Path, changes: tuple[tuple[str, str], ...]
) -> None:
    path = labs.topology(tmp_path, "ipv6", "test-ipv6-3", *changes)
    with dmvpn_labs.running(str(path)) as made:
        results = made.verify()
        assert {r.name for r in results if "2001:db8" in r.expected} >= {
            "resolution",
            "shortcut",
            "reachability",
        }
        made.must("host-1", "ping", "-n", "-c", "20", "-i", "0.2", "-W", "3", FAR)
        (route,) = json.loads(made.must("spoke-a", "ip", "-json", "-6", "route", "show", "table", "8193"))
        assert (route["dst"], route["gateway"]) == ("2001:db8:102::/64", "2001:db8::12")
