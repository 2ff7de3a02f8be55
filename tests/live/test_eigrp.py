"""The deck's EIGRP options on real tunnels, by effect."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live

BANDWIDTH = ", bandwidth: 1000}"
SPLIT_HORIZON = ("split-horizon: false", "split-horizon: true")
STUB = (BANDWIDTH, ", bandwidth: 1000, stub: [connected, summary]}")
SUMMARY = (BANDWIDTH, ", bandwidth: 1000, summary: [192.168.0.0/16]}")
NINE_KBIT = (BANDWIDTH, "}")
NEXT_HOP = (BANDWIDTH, ", bandwidth: 1000, next-hop-self: false}")
POINT_TO_POINT = ("    network-id: 1\n", "    network-id: 1\n    spoke-gre: point-to-point\n")


def all_learned(lab: LiveLab) -> bool:
    """Whether both spokes have all routes of the others."""
    return all(len(learned(lab, spoke)) == 2 for spoke in ("spoke-a", "spoke-b"))


def learned(lab: LiveLab, node: str) -> dict[str, str]:
    """Destination -> next hop (or kind) of the routes that the agent installed."""
    routes = lab.show(node, "routes")
    return {r["dst"]: r.get("gateway") or r["type"] for r in routes if r.get("protocol") == "88"}


def counters(lab: LiveLab, node: str) -> dict[str, int]:
    found: dict[str, int] = lab.show(node, "eigrp-traffic")["counters"]
    return found


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    """Each test's lab goes whole."""
    yield
    assert labs.left_behind("test-eigrp") == []


def test_the_decks_lab_runs_over_eigrp_and_gets_over_an_address_change(
    dmvpn_labs: Labs, tmp_path: Path
) -> None:
    path = labs.topology(tmp_path, "hub-and-spoke", "test-eigrp")
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        assert learned(lab, "hub") == {"192.168.1.0/24": "10.0.0.11", "192.168.2.0/24": "10.0.0.12"}
        assert learned(lab, "spoke-a") == {"192.168.0.0/24": "10.0.0.1", "192.168.2.0/24": "10.0.0.1"}
        code, shown = labs.cli("show", "hub", "eigrp", "neighbors", "--lab", lab.name)
        assert code == 0
        assert sorted(line.split()[1:3] for line in shown.splitlines()[3:]) == [
            ["10.0.0.11", "tunnel0"], ["10.0.0.12", "tunnel0"],
        ]  # fmt: skip
        print([(step.step, step.after_s) for step in lab.address_change("spoke-a").steps])
        lab.verify()


def test_with_split_horizon_a_spoke_does_not_see_the_other(dmvpn_labs: Labs, tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "hub-and-spoke", "test-eigrp", SPLIT_HORIZON)
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        assert learned(lab, "hub") == {"192.168.1.0/24": "10.0.0.11", "192.168.2.0/24": "10.0.0.12"}
        assert learned(lab, "spoke-a") == {"192.168.0.0/24": "10.0.0.1"}


def test_a_stub_is_asked_nothing_when_a_lan_is_lost(dmvpn_labs: Labs, tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "hub-and-spoke", "test-eigrp", STUB)
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        assert [n["stub"] for n in lab.show("hub", "eigrp-neighbors")] == [5, 5]
        lab.must("spoke-b", "ip", "link", "set", "eth2", "down")
        lab.wait_for(lambda: "192.168.2.0/24" not in learned(lab, "spoke-a"), 10)
        assert "192.168.2.0/24" not in learned(lab, "hub")
        assert counters(lab, "hub").get("sent-query", 0) == 0
        lab.must("spoke-b", "ip", "link", "set", "eth2", "up")
        lab.wait_for(lambda: "192.168.2.0/24" in learned(lab, "spoke-a"), 10)


def test_a_summary_stands_for_the_lans_and_the_hub_discards_what_is_not_there(
    dmvpn_labs: Labs, tmp_path: Path
) -> None:
    changes = (SUMMARY, SPLIT_HORIZON)
    path = labs.topology(tmp_path, "hub-and-spoke", "test-eigrp", *changes)
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()  # spoke to spoke, in spite of split horizon
        assert learned(lab, "spoke-a") == {"192.168.0.0/16": "10.0.0.1"}
        assert learned(lab, "hub")["192.168.0.0/16"] == "blackhole"
        assert lab.exec("hub", "ip", "route", "get", "192.168.77.1").exit_code != 0
        assert lab.exec("host-1", "ping", "-n", "-c", "1", "-W", "1", "192.168.77.1").exit_code != 0


def test_without_next_hop_self_the_next_hop_is_the_other_spoke(dmvpn_labs: Labs, tmp_path: Path) -> None:
    changes = (NEXT_HOP, POINT_TO_POINT)
    path = labs.topology(tmp_path, "hub-and-spoke", "test-eigrp", *changes)
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        assert learned(lab, "spoke-a") == {"192.168.0.0/24": "10.0.0.1", "192.168.2.0/24": "10.0.0.12"}


def test_9_kbit_are_visibly_slow_and_1000_are_not(dmvpn_labs: Labs, tmp_path: Path) -> None:
    took: dict[str, float] = {}
    for name, changes in (("9", (NINE_KBIT,)), ("1000", ())):
        path = labs.topology(tmp_path, "hub-and-spoke", "test-eigrp", *changes)
        with dmvpn_labs.running(str(path)) as lab:
            began = time.monotonic()
            lab.wait_for(partial(all_learned, lab), 90)
            took[name] = time.monotonic() - began
    print(f"all routes after {took['9']:.1f} s at 9 kbit/s, {took['1000']:.1f} at 1000")
    assert took["9"] > took["1000"] + 3


def lost(ping: str) -> str:
    (line,) = [line for line in ping.splitlines() if "packet loss" in line]
    return line.split(", ")[2]


def test_an_agent_that_is_killed_comes_back_without_a_gap(dmvpn_labs: Labs, tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "hub-and-spoke", "test-eigrp")
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        uptime = lab.show("hub", "status")["uptime_s"]
        before: dict[str, Any] = {node: learned(lab, node) for node in ("hub", "spoke-a", "spoke-b")}
        pid = agent_pid(lab, "hub")
        lab.must("hub", "kill", "-KILL", pid)
        ping = lab.exec("host-1", "ping", "-n", "-i", "0.2", "-c", "100", "-W", "1", "192.168.2.2").stdout
        assert lab.show("hub", "status")["uptime_s"] < uptime + 20
        assert lost(ping) == "0% packet loss"
        lab.wait_for(lambda: [n["up"] for n in lab.show("hub", "eigrp-neighbors")] == [True, True], 20)
        assert {node: learned(lab, node) for node in before} == before
        code, events = labs.cli("events", "--json", "--lab", lab.name)
        assert code == 0
        assert [line for line in events.splitlines() if "eigrp-neighbour-down" in line] == []


def agent_pid(lab: LiveLab, node: str) -> str:
    """The process that holds the control socket of a node."""
    out = lab.must(node, "ss", "-xlpnH", "src", "/run/dmvpn-lab/agent.sock")
    return out.partition("pid=")[2].partition(",")[0]
