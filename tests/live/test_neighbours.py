"""The tunnel's neighbour table: permanent per binding, gone with it, and what has none fails at once.

What somebody else takes from it, or spoils, the agent puts back.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import pairwise
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


DAMAGE = {
    "flush": "neigh flush dev tunnel0 nud permanent",
    "delete": "neigh del {} dev tunnel0",
    "use": "neigh replace {} dev tunnel0 use",  # as FRR's proactive ARP does: NTF_USE
    "elsewhere": "neigh replace {} lladdr 192.0.2.9 dev tunnel0 nud permanent",
    "temporary": "neigh replace {} lladdr 192.0.2.9 dev tunnel0 nud reachable",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("at", ["hub", "spoke"])
def test_a_neighbour_that_somebody_else_takes_or_spoils_is_put_back_at_once(
    lab: World, at: str, damage: str
) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub, at_spoke = hub.start(), spoke.start()
    at_spoke.wait("registered")
    router, agent, protocol, nbma = {"hub": (hub, at_hub, "10.0.0.11", "172.16.1.1"),
                                     "spoke": (spoke, at_spoke, "10.0.0.1", HUB_NBMA)}[at]  # fmt: skip
    router.netns.ip(damage.format(protocol))
    agent.wait("neighbour-restored", protocol=protocol, nbma=nbma)
    assert router.neighbours() == {protocol: nbma}
    router.ping(protocol)
    assert agent.counter("neighbour-restored") == 1
    assert router.log == ""


def test_broadcasts_go_on_after_a_flush_of_everything(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    spoke.start().wait("registered")
    hub.netns.ip("neigh flush dev tunnel0 nud all")
    at_hub.wait("neighbour-restored", protocol="10.0.0.11")
    with capture(lab.isp, lab.lines()) as seen:
        for destination in ("10.0.0.255", "255.255.255.255"):
            hub.udp(destination)  # without the neighbour: Invalid argument
        hub.ping("10.0.0.11")
        ways = [each.way for each in seen.gre()]
    assert ways.count((HUB_NBMA, "172.16.1.1")) >= 3


def test_what_the_agent_lets_go_stays_away_when_all_are_flushed(lab: World) -> None:
    hub, line = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    speaker = Speaker(line, "10.0.0.11/24")
    stays, purged, short = (IPv4Address(f"10.0.0.{last}") for last in (11, 12, 13))
    for number, address in enumerate((stays, purged), 1):
        speaker.ask(speaker.registration(address, number=number))
    brief = speaker.registration(short, number=3)
    speaker.ask(replace(brief, cies=(replace(brief.cies[0], holding_time_s=1),)))
    speaker.ask(replace(speaker.registration(purged, number=4), type=PacketType.PURGE_REQUEST, cies=(Cie(),)))
    at_hub.wait("peer-expired", protocol=str(purged))
    at_hub.wait("peer-expired", protocol=str(short))
    assert hub.neighbours() == {str(stays): "172.16.1.1"}
    for each in (purged, short):
        hub.netns.ip(f"neigh replace {each} lladdr 172.16.1.1 dev tunnel0 nud permanent")  # not ours
    hub.netns.ip("neigh flush dev tunnel0 nud permanent")
    at_hub.wait("neighbour-restored", protocol=str(stays))
    assert hub.neighbours() == {str(stays): "172.16.1.1"}
    assert at_hub.counter("neighbour-restored") == 1


def test_who_takes_a_neighbour_again_and_again_is_answered_once_a_second(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub = hub.start()
    spoke.start().wait("registered")
    restored = []
    for _ in range(3):
        hub.netns.ip(DAMAGE["flush"])
        restored.append(at_hub.wait("neighbour-restored", protocol="10.0.0.11")["at"])
    assert all(later - earlier > 0.95 for earlier, later in pairwise(restored)), restored
    assert restored[2] - restored[0] < PATIENCE_S / 2
    hub.ping("10.0.0.11")


def test_two_thousand_flushed_neighbours_are_all_put_back(lab: World) -> None:
    hub = lab.hub(address="10.0.0.1/16")
    line = lab.add("generator", "172.16.1.1/24")
    at_hub = hub.start()
    at_hub.wait("agent-ready")
    speaker = Speaker(line, "10.0.0.11/16")
    addresses = [IPv4Address("10.0.1.0") + number for number in range(BURST)]
    for at, each in enumerate(addresses):
        speaker.send(encode(speaker.registration(each, number=at)))
    assert len(speaker.hear_many(BURST, patience_s=90.0)) == BURST
    hub.netns.ip(DAMAGE["flush"])
    at_hub.until("neighbour-restored", BURST)
    index = hub.netns.index("tunnel0")
    assert list_neighbours(hub.netns.netlink, index) == dict.fromkeys(addresses, IPv4Address("172.16.1.1"))
