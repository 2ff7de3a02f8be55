"""Resolution on demand on real mGRE: nothing lost, kept while used, gone when idle, purged when it moves."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agents import HUB_NBMA, Control, Router, World, world

pytestmark = pytest.mark.live
HOLDING_S = 15


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def started(lab: World, **changes: object) -> tuple[Router, Router, Router, Control, Control]:
    """A hub and two spokes that are registered: their routers, and the controls of the spokes."""
    hub = lab.hub()
    hub.start()
    spokes = [lab.spoke(number, resolve=True, **changes) for number in (1, 2)]
    controls = [spoke.start() for spoke in spokes]
    for control in controls:
        control.wait("registered")
    return hub, spokes[0], spokes[1], controls[0], controls[1]


def mapping(spoke: Router, peer: str) -> str | None:
    """The NBMA address that a spoke's kernel has for a tunnel address."""
    words = spoke.netns.ip(f"-4 neigh show {peer} dev tunnel0").split()
    return words[words.index("lladdr") + 1] if "lladdr" in words else None


def pinging(spoke: Router, peer: str, count: int) -> subprocess.Popen[str]:
    """Pings ten times a second, in the background."""
    with spoke.netns.entered():
        return subprocess.Popen(
            ["ping", "-n", "-i", "0.1", "-c", str(count), "-W", "2", peer],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip


def assert_all_answered(ping: subprocess.Popen[str]) -> None:
    said, _ = ping.communicate()
    assert ", 0% packet loss" in said, said


def test_from_the_first_packet_on_none_is_lost_and_soon_they_go_directly(lab: World) -> None:
    hub, one, _two, at_one, at_two = started(lab)
    assert mapping(one, "10.0.0.12") is None
    one.ping("10.0.0.12", "-c", "30", "-i", "0.05")
    at_one.wait("resolution-sent", protocol="10.0.0.12", tries=1)
    resolved = at_one.wait("resolved", protocol="10.0.0.12", nbma="172.16.2.1")
    assert resolved["asked_s_ago"] < 1
    at_two.wait("resolved", protocol="10.0.0.11", nbma="172.16.1.1")  # the answers' way
    assert mapping(one, "10.0.0.12") == "172.16.2.1"
    (entry,) = [e for e in at_one.query("nhrp") if e["protocol"] == "10.0.0.12"]
    assert entry["flags"] == ["resolved"]
    hub.netns.ip("link set tunnel0 down")  # the way through the hub is closed
    one.ping("10.0.0.12")


def test_it_is_renewed_while_it_is_used_and_gone_when_it_is_idle(lab: World) -> None:
    _hub, one, _two, at_one, _ = started(lab, holding_time_s=HOLDING_S)
    ping = pinging(one, "10.0.0.12", 10 * 2 * HOLDING_S)
    at_one.wait("resolved", previous_nbma=None)
    renewed = [at_one.wait("resolved", previous_nbma="172.16.2.1") for _ in range(2)]
    assert_all_answered(ping)
    ended = at_one.wait("resolution-ended", protocol="10.0.0.12", reason="expired", patience_s=3 * HOLDING_S)
    assert ended["at"] - renewed[-1]["at"] < 2.5 * HOLDING_S
    assert mapping(one, "10.0.0.12") is None


def test_a_spoke_that_moves_is_purged_at_the_other_and_resolved_anew(lab: World) -> None:
    _hub, one, two, at_one, at_two = started(lab)
    one.ping("10.0.0.12", "-c", "3", "-i", "0.2")
    at_one.wait("resolved", nbma="172.16.2.1")
    two.move("172.16.2.1/24", "172.16.2.9/24")
    at_two.wait("registered", nbma="172.16.2.9")
    at_one.wait("resolution-ended", protocol="10.0.0.12", reason="purged")
    one.ping("10.0.0.12", "-c", "5", "-i", "0.2")
    at_one.wait("resolved", protocol="10.0.0.12", nbma="172.16.2.9")
    assert mapping(one, "10.0.0.12") == "172.16.2.9"


def test_no_packet_is_lost_between_spokes_while_their_agents_and_the_hubs_are_killed(lab: World) -> None:
    hub, one, two, at_one, _ = started(lab)
    ping = pinging(one, "10.0.0.12", 150)
    at_one.wait("resolved")
    for router in (one, two, hub):
        router.end(signal.SIGKILL)
        time.sleep(1)
        router.start().wait("agent-ready")
    time.sleep(6)  # the kernel has asked whether what it uses still holds
    assert_all_answered(ping)
    assert mapping(one, "10.0.0.12") == "172.16.2.1"


def test_packets_for_an_address_that_nobody_registered_end_at_the_hub(lab: World) -> None:
    _hub, one, _two, at_one, _ = started(lab)
    with one.netns.entered():
        done = subprocess.run(
            ["ping", "-n", "-c", "2", "-W", "2", "10.0.0.99"], capture_output=True, text=True, check=False
        )
    at_one.wait("resolution-refused", protocol="10.0.0.99", code=12)
    assert "100% packet loss" in done.stdout, done.stdout
    assert mapping(one, "10.0.0.99") == HUB_NBMA


def test_without_a_hub_that_answers_packets_still_go_to_it(lab: World) -> None:
    hub, one, _two, at_one, _ = started(lab)
    hub.end(signal.SIGKILL)
    one.ping("10.0.0.12", "-c", "5", "-i", "0.2")
    at_one.wait("resolution-sent", protocol="10.0.0.12", tries=2)
    assert mapping(one, "10.0.0.12") == HUB_NBMA
    hub.start()
    at_one.wait("resolved", protocol="10.0.0.12", nbma="172.16.2.1")
    one.ping("10.0.0.12")
