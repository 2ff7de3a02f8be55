"""Fifty protected spokes that rekey, or get new addresses, at once: nobody is lost, in figures."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live.chatter import Chatter, chatter
from tests.live.labs import left_behind

pytestmark = [pytest.mark.live, pytest.mark.long]

NAME = "test-fifty"
SPOKES = 50
PATIENCE_S = 300.0
"""Fifty routers on two emulated processors; what it really takes is printed."""
MOVE = (
    "ip addr del {old}/24 dev eth1 && ip addr add {new}/24 dev eth1 && ip route replace default via {gateway}"
)


def topology(folder: Path) -> Path:
    """A hub and fifty spokes without LANs."""
    lines = [
        f"lab: {NAME}",
        "clouds:",
        "  dmvpn: {subnet: 10.0.0.0/24, key: 1, unique: false, holding-time: 3600, "
        "routing: {protocol: none}, ipsec: {pre-shared-key: fifty}}",
        "nodes:",
        "  hub: {nbma: 172.17.0.1/24, clouds: {dmvpn: {role: hub, address: 10.0.0.1}}}",
    ]
    for number in range(1, SPOKES + 1):
        lines.append(f"  spoke-{number}: {{nbma: {nbma(number)}/24, clouds: "
                     f"{{dmvpn: {{role: spoke, address: 10.0.0.{100 + number}}}}}}}")  # fmt: skip
    path = folder / f"{NAME}.yml"
    path.write_text("\n".join(lines) + "\n")
    return path


def nbma(number: int, *, moved: bool = False) -> IPv4Address:
    """A spoke's first address, or its next."""
    return IPv4Address(f"172.16.{number}.{2 if moved else 1}")


@pytest.fixture(scope="module")
def fifty(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveLab, Chatter]]:
    began = time.monotonic()
    path = topology(tmp_path_factory.mktemp("fifty"))
    with dmvpn_labs.running(str(path), "netns", capture=[]) as lab:
        spokes = [f"spoke-{number}" for number in range(1, SPOKES + 1)]
        with chatter(NAME, "hub", "10.0.0.1", spokes) as talk:
            talk.until_all(time.monotonic(), PATIENCE_S)
            print(f"{SPOKES} spokes answered after {time.monotonic() - began:.0f} s")
            yield lab, talk
    assert left_behind(NAME) == []


def peers(lab: LiveLab) -> dict[str, set[str]]:
    """Peer -> inbound SPIs, at the hub."""
    found: dict[str, set[str]] = {}
    entries: list[dict[str, Any]] = lab.show("hub", "ipsec")
    for entry in entries:
        found.setdefault(entry["nbma"], set()).add(entry["spi_in"])
    return found


def told(gaps: dict[str, float]) -> str:
    """Median and worst."""
    return f"{statistics.median(gaps.values()):.2f} s in the median, {max(gaps.values()):.2f} s at the worst"


def test_fifty_spokes_that_rekey_at_once_lose_nobody(fifty: tuple[LiveLab, Chatter]) -> None:
    lab, talk = fifty
    before = peers(lab)
    assert len(before) == SPOKES
    began = time.monotonic()
    lab.must("hub", "swanctl", "--rekey", "--child", "gre")
    deadline = began + PATIENCE_S
    while (after := peers(lab)).keys() != before.keys() or any(after[p] & before[p] for p in before):
        assert time.monotonic() < deadline, f"old keys: {[p for p in before if after.get(p) == before[p]]}"
        time.sleep(0.5)
    rekeyed_s = time.monotonic() - began
    talk.until_all(time.monotonic(), PATIENCE_S)
    print(f"{SPOKES} SA pairs rekeyed in {rekeyed_s:.1f} s; without answers: {told(talk.gaps(began))}")
    assert all(len(spis) == 1 for spis in peers(lab).values())


def test_fifty_spokes_that_get_new_addresses_at_once_lose_nobody(fifty: tuple[LiveLab, Chatter]) -> None:
    lab, talk = fifty

    async def move() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(1, SPOKES + 1):
                gateway = nbma(number) + 253
                line = MOVE.format(old=nbma(number), new=nbma(number, moved=True), gateway=gateway)
                group.create_task(lab.lab.must(f"spoke-{number}", "sh", "-c", line))

    began = time.monotonic()
    lab.run(move())
    moved_s = time.monotonic() - began
    wanted = {str(nbma(number, moved=True)) for number in range(1, SPOKES + 1)}
    deadline = began + PATIENCE_S
    while peers(lab).keys() != wanted:
        assert time.monotonic() < deadline, f"{len(wanted - peers(lab).keys())} are missing"
        time.sleep(0.5)
    talk.until_all(time.monotonic(), PATIENCE_S)
    took_s = time.monotonic() - began
    print(f"{SPOKES} spokes at new addresses ({moved_s:.1f} s for the commands), all answered after "
          f"{took_s:.1f} s; without answers: {told(talk.gaps(began))}")  # fmt: skip
    assert {entry["nbma"] for entry in lab.show("hub", "nhrp")} == wanted
    assert all(len(spis) == 1 for spis in peers(lab).values())


def test_a_line_of_the_hub_that_is_cut_for_5_s_loses_nobody(fifty: tuple[LiveLab, Chatter]) -> None:
    lab, talk = fifty
    lab.must("isp", "ip", "link", "set", "eth1", "down")
    time.sleep(5)
    began = time.monotonic()
    lab.must("isp", "ip", "link", "set", "eth1", "up")
    up = time.monotonic()
    talk.until_all(up, PATIENCE_S)
    back = {spoke: next(at for at in times if at > began) - began for spoke, times in talk.answers.items()}
    print(f"a 5 s cut: answers again {told(back)} after the link")
