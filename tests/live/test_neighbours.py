"""The tunnel's neighbour table: permanent per binding, gone with it, and what has none fails at once."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.linux.neighbour import list_neighbours
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import encode
from tests.live.agents import HUB_NBMA, PATIENCE_S, Router, World, world
from tests.live.capture import capture
from tests.live.speaker import Speaker

pytestmark = pytest.mark.live
BURST = 2000


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def neighbour(router: Router, protocol: str) -> dict[str, Any] | None:
    """What `ip neigh` says of one address of tunnel0."""
    found = json.loads(router.netns.ip(f"-j neigh show {protocol} dev tunnel0 nud all") or "[]")
    return dict(found[0]) if found else None


def test_a_registered_peer_and_the_server_are_permanent_neighbours(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    hub.start()
    spoke.start().wait("registered")
    for router, protocol, nbma in ((hub, "10.0.0.11", "172.16.1.1"), (spoke, "10.0.0.1", HUB_NBMA)):
        found = neighbour(router, protocol)
        assert found is not None
        assert (found["lladdr"], found["state"]) == (nbma, ["PERMANENT"])


def test_a_packet_to_an_unresolved_address_fails_at_once_and_nothing_leaves(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    hub.start()
    spoke.start().wait("registered")
    with capture(lab.isp, lab.lines()) as seen:
        began = time.monotonic()
        hub.udp("10.0.0.99")
        found = neighbour(hub, "10.0.0.99")
        took_s = time.monotonic() - began
        assert seen.read() == []
        hub.ping("10.0.0.11")  # bait: what has a neighbour does leave
        assert len(seen.gre()) == 4
    assert found is not None
    assert found["state"] == ["FAILED"]
    assert took_s < 1.0  # the kernel's own probes take three seconds


def test_a_spoke_that_asks_for_another_goes_through_the_hub_and_only_through_it(lab: World) -> None:
    hub, one, two = lab.hub(), lab.spoke(1), lab.spoke(2)
    hub.start()
    one.start().wait("registered")
    two.start().wait("registered")
    one.netns.ip("route add 192.168.2.0/24 via 10.0.0.1")
    two.netns.ip("route add 192.168.1.0/24 via 10.0.0.1")
    for number, router in ((1, one), (2, two)):
        router.netns.add("lo", f"192.168.{number}.1/24")
        hub.netns.ip(f"route add 192.168.{number}.0/24 via 10.0.0.1{number}")
    with capture(lab.isp, lab.lines()) as seen:
        one.ping("192.168.2.1", "-I", "192.168.1.1")
        ways = {each.way for each in seen.gre()}
    assert ("172.16.1.1", "172.16.2.1") not in ways
    assert ("172.16.1.1", HUB_NBMA) in ways
    assert one.neighbours() == {"10.0.0.1": HUB_NBMA}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_agent_that_ends_and_comes_back_loses_no_ping(lab: World, number: int) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    hub.start()
    at_spoke = spoke.start()
    at_spoke.wait("registered")
    argv = ["ping", "-n", "-i", "0.05", "-c", "80", "-W", "5", "10.0.0.1"]
    with spoke.netns.entered():
        pings = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert pings.stdout is not None
    while "bytes from" not in pings.stdout.readline():
        pass
    hub.end(number)
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    spoke.end(number)
    spoke.start().wait("registered")
    at_hub.wait("peer-registered", nbma="172.16.1.1")
    assert pings.poll() is None, "the pings ended before the agents were back"
    assert pings.stdout is not None
    said = pings.stdout.read()
    assert pings.wait(PATIENCE_S) == 0
    pings.stdout.close()
    assert re.search(r"80 packets transmitted, 80 received, 0% packet loss", said), said
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}


def test_a_purge_removes_the_neighbour_of_its_sender(lab: World) -> None:
    hub, line = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    speaker = Speaker(line, "10.0.0.11/24")
    speaker.ask(speaker.registration())
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1"}
    purge = replace(speaker.registration(number=2), type=PacketType.PURGE_REQUEST, cies=(Cie(),))
    assert speaker.ask(purge).type == PacketType.PURGE_REPLY
    assert hub.neighbours() == {}
    assert at_hub.query("multicast") == []


def test_two_thousand_registrations_in_one_burst_are_all_answered_and_installed(lab: World) -> None:
    hub = lab.hub(address="10.0.0.1/16")
    line = lab.add("generator", "172.16.1.1/24")
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    speaker = Speaker(line, "10.0.0.11/16")
    addresses = [IPv4Address("10.0.1.0") + number for number in range(BURST)]
    burst = [encode(speaker.registration(each, number=at)) for at, each in enumerate(addresses)]
    began = time.monotonic()
    for packet in burst:
        speaker.send(packet)
    sent_s = time.monotonic() - began
    answers = speaker.hear_many(BURST, patience_s=90.0)
    took_s = time.monotonic() - began
    print(f"{BURST} registrations sent in {sent_s:.2f} s, answered in {took_s:.2f} s: {BURST / took_s:.0f}/s")
    assert at_hub.counter("received-registration-request") == BURST
    assert len(answers) == BURST
    assert {each.request_id for each in answers} == set(range(BURST))
    assert {each.cies[0].code for each in answers} == {0}
    installed = list_neighbours(hub.netns.netlink, hub.netns.index("tunnel0"))
    assert installed == dict.fromkeys(addresses, IPv4Address("172.16.1.1"))  # well above 1,024
    assert len(at_hub.query("nhrp")) == BURST
    assert at_hub.counter("neighbour-refused") == 0
