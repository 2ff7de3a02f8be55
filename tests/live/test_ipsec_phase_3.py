"""Shortcuts under IPsec: one SA pair between two spokes, by need; nothing in clear, and gone when idle."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs
from tests.live.line_watch import ESP, LineWatch, line_watch
from tests.live.test_phase_3 import FAR, hops, shortcuts, until

pytestmark = [pytest.mark.live, pytest.mark.long]

NAME = "test-ipsec-phase-3"
HUB, SPOKE_A, SPOKE_B = "172.17.0.1", "172.16.1.1", "172.16.2.1"
NEAR = "192.168.1.2"
BRIEF = ("holding-time: 600", "holding-time: 45")
DIRECT = {"192.168.2.0/24": "10.0.0.12"}
PATIENCE_S = 180.0
"""An idle binding is renewed once more when it was used in the last two thirds of its holding time."""
IKE = re.compile(
    rf"^\S+: #(\d+), ESTABLISHED[^\n]*\n  local[^\n]*\n  remote[^\n]* @ {SPOKE_A}\[", re.MULTILINE
)
"""The number of the IKE SA with spoke A."""


@pytest.fixture(scope="module")
def lines() -> Iterator[LineWatch]:
    with line_watch(NAME) as watch:
        yield watch


@pytest.fixture(scope="module")
def lab(lines: LineWatch, dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = labs.topology(tmp_path_factory.mktemp("phase-3"), "ipsec-phase-3", NAME, BRIEF)
    with dmvpn_labs.running(str(path)) as made:
        assert lines.opened.is_set()
        made.verify()
        yield made
    assert labs.left_behind(NAME) == []


def peers(lab: LiveLab, node: str) -> list[str]:
    """The other ends of a router's SAs."""
    return sorted(entry["nbma"] for entry in lab.show(node, "ipsec"))


def until_peers(lab: LiveLab, node: str, wanted: list[str]) -> None:
    """Wait until a router has SAs with these peers, and no other."""

    def are_those() -> bool:
        assert (seen := peers(lab, node)) == wanted, seen
        return True

    lab.wait_for(are_those, PATIENCE_S)


def alone(lab: LiveLab) -> None:
    """Both spokes forget each other, and have SAs with the hub only."""
    for node in ("spoke-a", "spoke-b"):
        lab.run(lab.lab.query(node, "clear"))
    for spoke in ("spoke-a", "spoke-b"):
        until_peers(lab, spoke, [HUB])


def replies(said: str) -> tuple[int, int]:
    """Sent and received of a ping."""
    found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


def test_a_shortcut_gets_an_sa_pair_of_its_own_and_no_packet_is_lost_meanwhile(
    lab: LiveLab, lines: LineWatch
) -> None:
    alone(lab)
    began = time.time()
    said = lab.must("host-1", "ping", "-n", "-c", "80", "-i", "0.2", "-W", "5", FAR)
    assert replies(said) == (80, 80), said
    until(lab, "spoke-a", DIRECT)
    assert hops(lab) == ["192.168.1.1", "10.0.0.12", FAR]
    assert peers(lab, "spoke-a") == sorted([HUB, SPOKE_B])
    assert peers(lab, "spoke-b") == sorted([HUB, SPOKE_A])
    met = [p for p in lines.packets if {p.source, p.destination} == {SPOKE_A, SPOKE_B} and p.at > began]
    assert next(p.at for p in met if p.is_ike) < next(p.at for p in met if p.protocol == ESP)


def test_when_both_begin_at_once_there_is_one_pair(lab: LiveLab) -> None:
    alone(lab)

    async def both() -> list[str]:
        pings = (("host-1", FAR), ("host-2", NEAR))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(lab.lab.must(host, "ping", "-n", "-c", "60", "-i", "0.2", "-W", "5", to))
                for host, to in pings
            ]
        return [task.result() for task in tasks]

    assert [replies(said) for said in lab.run(both())] == [(60, 60), (60, 60)]
    until(lab, "spoke-a", DIRECT)
    until(lab, "spoke-b", {"192.168.1.0/24": "10.0.0.11"})
    until_peers(lab, "spoke-a", sorted([HUB, SPOKE_B]))
    until_peers(lab, "spoke-b", sorted([HUB, SPOKE_A]))
    listed = lab.must("spoke-a", "swanctl", "--list-sas")
    assert sum("ESTABLISHED" in line for line in listed.splitlines()) == 2, listed


def test_a_shortcut_whose_sa_is_lost_goes_by_the_hub_until_there_is_another(lab: LiveLab) -> None:
    lab.must("host-1", "ping", "-n", "-c", "20", "-i", "0.2", FAR)
    until(lab, "spoke-a", DIRECT)
    until_peers(lab, "spoke-a", sorted([HUB, SPOKE_B]))
    old = spis(lab)

    async def meanwhile() -> str:
        async with asyncio.TaskGroup() as group:
            ping = group.create_task(
                lab.lab.must("host-1", "ping", "-n", "-c", "100", "-i", "0.1", "-W", "5", FAR)
            )
            await asyncio.sleep(2)
            listed = await lab.lab.must("spoke-b", "swanctl", "--list-sas")
            (number,) = IKE.findall(listed)
            await lab.lab.must("spoke-b", "swanctl", "--terminate", "--ike-id", number)
        return ping.result()

    sent, received = replies(lab.run(meanwhile()))
    print(f"{sent - received} of {sent} pings lost, ten in a second")
    assert sent - received < 30
    until_peers(lab, "spoke-a", sorted([HUB, SPOKE_B]))
    assert not old & spis(lab)
    assert hops(lab) == ["192.168.1.1", "10.0.0.12", FAR]


def spis(lab: LiveLab) -> set[str]:
    """Of spoke A's SAs with spoke B."""
    entries: list[dict[str, Any]] = lab.show("spoke-a", "ipsec")
    return {entry["spi_in"] for entry in entries if entry["nbma"] == SPOKE_B}


def test_a_shortcut_that_nobody_uses_ends_with_its_sa(lab: LiveLab) -> None:
    lab.must("host-1", "ping", "-n", "-c", "12", FAR)
    until(lab, "spoke-a", DIRECT)
    for spoke in ("spoke-a", "spoke-b"):
        until_peers(lab, spoke, [HUB])
        assert shortcuts(lab, spoke) == {}


def test_nothing_was_in_clear_between_the_spokes(lab: LiveLab, lines: LineWatch) -> None:
    assert lines.lost == 0
    assert lines.cleartext() == []
    assert any(p.protocol == ESP and p.source == SPOKE_A and p.destination == SPOKE_B for p in lines.packets)
