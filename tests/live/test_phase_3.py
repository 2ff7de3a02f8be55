"""Shortcuts in a whole lab: made by need, none lost at either end of their life, gone with their reason."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live
FAR = "192.168.2.2"
BRIEF = ("holding-time: 600", "holding-time: 45")
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def lab(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = labs.topology(tmp_path_factory.mktemp("phase-3"), "phase-3", "test-phase-3", BRIEF)
    with dmvpn_labs.running(str(path)) as made:
        made.verify()
        yield made


def shortcuts(lab: LiveLab, node: str) -> dict[str, str]:
    """Prefix -> next hop of the kernel's shortcut routes."""
    routes = json.loads(lab.must(node, "ip", "-json", "route", "show", "table", "8193") or "[]")
    return {route["dst"]: route["gateway"] for route in routes}


def hops(lab: LiveLab) -> list[str]:
    said = lab.must("host-1", "traceroute", "-n", "-q", "1", "-w", "2", "-m", "6", FAR)
    return [line.split()[1] for line in said.splitlines()[1:]]


def until(lab: LiveLab, node: str, wanted: dict[str, str]) -> None:
    """Wait until a router has these shortcuts and no other."""
    deadline = time.monotonic() + PATIENCE_S
    while (seen := shortcuts(lab, node)) != wanted:
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)


def clear(lab: LiveLab) -> None:
    for node in ("spoke-a", "spoke-b"):
        lab.run(lab.lab.query(node, "clear"))


def test_the_path_is_by_the_hub_before_and_direct_after_and_no_packet_is_lost(lab: LiveLab) -> None:
    clear(lab)
    assert shortcuts(lab, "spoke-a") == {}
    assert "via 10.0.0.1 " in lab.must("spoke-a", "ip", "route", "get", FAR)
    said = lab.must("host-1", "ping", "-n", "-c", "60", "-i", "0.2", "-W", "3", FAR)
    assert "60 received, 0% packet loss" in said, said
    until(lab, "spoke-a", {"192.168.2.0/24": "10.0.0.12"})
    assert hops(lab) == ["192.168.1.1", "10.0.0.12", FAR]
    until(lab, "spoke-b", {"192.168.1.0/24": "10.0.0.11"})
    assert '  n_spoke_a <==>|"dmvpn: direct"| n_spoke_b' in labs.cli("graph", "--lab", lab.name)[1]


def test_no_packet_is_lost_when_shortcuts_and_their_agents_end(lab: LiveLab) -> None:
    lab.must("host-1", "ping", "-n", "-c", "5", FAR)

    async def meanwhile() -> str:
        async with asyncio.TaskGroup() as group:
            ping = group.create_task(
                lab.lab.must("host-1", "ping", "-n", "-c", "120", "-i", "0.2", "-W", "3", FAR)
            )
            await asyncio.sleep(2)
            for node in ("spoke-a", "spoke-b"):
                await lab.lab.query(node, "clear")
            await asyncio.sleep(6)
            for node in ("spoke-a", "hub"):
                said = await lab.lab.must(node, "ss", "-xlpH", "src", "/run/dmvpn-lab/agent.sock")
                await lab.lab.must(node, "kill", "-9", said.split("pid=")[1].split(",")[0])
        return ping.result()

    said = lab.run(meanwhile())
    assert "120 received, 0% packet loss" in said, said


@pytest.mark.long
def test_a_shortcut_that_nobody_uses_ends(lab: LiveLab) -> None:
    lab.must("host-1", "ping", "-n", "-c", "12", FAR)
    until(lab, "spoke-a", {"192.168.2.0/24": "10.0.0.12"})
    until(lab, "spoke-a", {})
    lab.wait_for_event("shortcut-removed", node="spoke-a", reason="expired")


@pytest.mark.long
def test_a_shortcut_goes_when_the_route_that_it_shortens_does(lab: LiveLab) -> None:
    lab.must("host-1", "ping", "-n", "-c", "12", FAR)
    until(lab, "spoke-a", {"192.168.2.0/24": "10.0.0.12"})
    lab.must("spoke-b", "ip", "link", "set", "eth2", "down")
    until(lab, "spoke-a", {})
    lab.must("spoke-b", "ip", "link", "set", "eth2", "up")
    lab.verify()
