"""Agents on real mGRE: registration, refusal, restart."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agents import HUB_NBMA, World, world

pytestmark = pytest.mark.live


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def test_a_spoke_registers_and_the_hub_has_its_binding_neighbour_and_multicast_peer(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    at_spoke = spoke.start()
    done = at_spoke.wait("registered", interface="tunnel0", nhs="10.0.0.1", nbma="172.16.1.1")
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}  # before the Success was sent
    at_hub.wait("peer-registered", protocol="10.0.0.11", nbma="172.16.1.1", holding_time_s=600)
    (entry,) = at_hub.query("nhrp")
    assert (entry["protocol"], entry["nbma"], entry["type"]) == ("10.0.0.11", "172.16.1.1", "dynamic")
    assert entry["flags"] == ["multicast", "registered"]
    assert [peer["nbma"] for peer in at_hub.query("multicast")] == ["172.16.1.1"]
    assert at_spoke.query("nhs")[0]["state"] == "registered"
    assert spoke.neighbours() == {"10.0.0.1": HUB_NBMA}
    spoke.netns.run("ping", "-c", "2", "-i", "0.2", "-W", "2", "10.0.0.1")
    up = at_spoke.events[0]["at"]
    print(f"first event -> registered: {1000 * (done['at'] - up):.1f} ms")
    assert "send-failed" not in at_spoke.query("counters")["tunnel0"]


def test_the_first_request_leaves_at_once(lab: World) -> None:
    lab.hub().start()
    spoke = lab.spoke(1).start()
    sent = spoke.wait("registration-sent", trigger="tunnel-up")
    ready = spoke.wait("agent-ready")
    assert ready["tunnels"] == ["tunnel0"]
    assert abs(sent["at"] - ready["at"]) < 0.3


def test_an_agent_takes_no_processor_from_whom_it_hears_and_its_parent_is_as_it_was(lab: World) -> None:
    hub, before = lab.hub(), os.sched_getscheduler(0)
    hub.start().wait("agent-ready")
    assert os.sched_getscheduler(hub.pid) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == before == os.SCHED_OTHER


def test_an_agent_that_ends_leaves_the_kernel_as_it_is_and_the_next_takes_over(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    hub.start()
    spoke.start().wait("registered")
    before = hub.netns.ip("-o link show tunnel0").split(":")[0]
    assert hub.end(signal.SIGTERM) == 0
    spoke.netns.run("ping", "-c", "1", "-W", "2", "10.0.0.1")
    again = hub.start()
    again.wait("state-restored", bindings=1, dropped=0)
    assert [e["protocol"] for e in again.query("nhrp")] == ["10.0.0.11"]
    assert [peer["nbma"] for peer in again.query("multicast")] == ["172.16.1.1"]
    assert hub.netns.ip("-o link show tunnel0").split(":")[0] == before
    spoke.netns.run("ping", "-c", "1", "-W", "2", "10.0.0.1")
    assert hub.end(signal.SIGKILL) == -signal.SIGKILL
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
    hub.start().wait("agent-ready")


def test_a_binding_that_was_taken_over_runs_out_when_nobody_renews_it(lab: World) -> None:
    hub, spoke = lab.hub(holding_time_s=6), lab.spoke(1, holding_time_s=6)
    hub.start()
    registered = spoke.start().wait("registered")
    spoke.end(signal.SIGKILL)
    hub.end(signal.SIGKILL)
    again = hub.start()
    again.wait("agent-ready")
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
    gone = again.wait("peer-expired", protocol="10.0.0.11")
    assert 5.5 < gone["at"] - registered["at"] < 7.5
    assert hub.neighbours() == {}


def test_a_binding_that_ran_out_while_no_agent_was_there_goes_at_the_start(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1, holding_time_s=3)
    hub.start()
    registered = spoke.start().wait("registered")
    spoke.end(signal.SIGKILL)
    hub.end(signal.SIGKILL)
    time.sleep(max(0.0, registered["at"] + 3.2 - time.time()))
    hub.start().wait("agent-ready")
    assert hub.neighbours() == {}


def test_without_its_state_file_an_agent_keeps_old_neighbours_for_a_holding_time(lab: World) -> None:
    hub, spoke = lab.hub(holding_time_s=3), lab.spoke(1)
    hub.start()
    spoke.start().wait("registered")
    spoke.end(signal.SIGKILL)
    hub.end(signal.SIGKILL)
    Path(hub.config["state"]).unlink()
    hub.start().wait("agent-ready")
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
    deadline = time.monotonic() + 10
    while hub.neighbours():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_no_packet_is_lost_through_a_hub_whose_agent_is_killed_and_started_again(lab: World) -> None:
    hub, one, two = lab.hub(), lab.spoke(1), lab.spoke(2)
    hub.start()
    for spoke in (one, two):
        spoke.start().wait("registered")
        spoke.netns.ip("route replace 10.0.0.0/24 via 10.0.0.1 dev tunnel0 onlink")
    with one.netns.entered():
        ping = subprocess.Popen(
            ["ping", "-n", "-i", "0.05", "-c", "100", "-W", "2", "10.0.0.12"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    for _ in range(2):
        time.sleep(1)
        hub.end(signal.SIGKILL)
        hub.start().wait("agent-ready")
    said, _ = ping.communicate()
    assert "100 received, 0% packet loss" in said, said


def test_a_wrong_authentication_string_is_refused_and_counted(lab: World) -> None:
    hub = lab.hub(authentication="secret").start()
    lab.spoke(1, authentication="other").start().wait("registration-sent")
    hub.wait("peer-refused", protocol="10.0.0.11")
    assert hub.query("counters")["tunnel0"]["bad-authentication"] >= 1
    assert hub.query("nhrp") == []


def test_malformed_packets_are_counted_and_harm_nobody(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    spoke.start().wait("registered")
    with spoke.netns.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as raw:
        for junk in (b"\0" * 4, b"\x00\x01" * 10, bytes(range(256)), b"\xff" * 1300):
            raw.sendto(junk, ("tunnel0", 0x2001, 0, 0, socket.inet_aton(HUB_NBMA)))
    deadline = time.monotonic() + 5
    while at_hub.query("counters")["tunnel0"].get("malformed", 0) < 4:
        assert time.monotonic() < deadline, at_hub.query("counters")
        time.sleep(0.02)
    assert [entry["protocol"] for entry in at_hub.query("nhrp")] == ["10.0.0.11"]


def test_a_spoke_without_address_registers_when_the_address_comes(lab: World) -> None:
    hub = lab.hub().start()
    config = lab.spoke(2).config["tunnels"][0]  # any line; its namespace stays idle
    spoke = lab.add("late", None, config, network="172.16.9.0/24")
    at_spoke = spoke.start()
    at_spoke.wait("agent-ready")
    assert at_spoke.query("nhs")[0]["state"] == "waiting"
    spoke.netns.ip("addr add 172.16.9.1/24 dev eth1")
    at_spoke.wait("tunnel-up", nbma="172.16.9.1")  # there is no route yet: after the wait for one
    spoke.netns.ip("route add default via 172.16.9.254")
    hub.wait("peer-registered", nbma="172.16.9.1")


def test_a_tunnel_that_somebody_removes_is_made_again_with_its_neighbours(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    spoke.start().wait("registered")
    hub.netns.ip("link del tunnel0")
    at_hub.wait("tunnel-down")
    at_hub.wait("tunnel-up", interface="tunnel0", nbma=HUB_NBMA)
    spoke.netns.run("ping", "-c", "1", "-W", "2", "10.0.0.1")
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
    assert [peer["nbma"] for peer in at_hub.query("multicast")] == ["172.16.1.1"]


def test_a_tunnel_that_was_set_down_and_up_has_its_neighbours_again(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    hub.start()
    spoke.start().wait("registered")
    hub.netns.ip("link set tunnel0 down")
    hub.netns.ip("link set tunnel0 up")
    spoke.netns.run("ping", "-c", "1", "-W", "2", "10.0.0.1")
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
