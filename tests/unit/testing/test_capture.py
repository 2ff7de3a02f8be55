"""Whose lines are captured, what is kept, and how it is split by line."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from dmvpn_lab.backends.netns import NetnsBackend
from dmvpn_lab.errors import UsageError
from dmvpn_lab.pytest_plugin import _routers
from dmvpn_lab.running import RunningLab
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.testing import capture
from dmvpn_lab.testing.capture import Capture, lines
from tests.live.labs import TOPOLOGIES
from tests.unit.backends.plain import plain_plan

HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 276)
DECK = planner.read(TOPOLOGIES / "hub-and-spoke.yml")
NAT = planner.read(TOPOLOGIES / "nat.yml")


def record(index: int, payload: bytes) -> bytes:
    """One packet on the interface of that index, as tcpdump writes it."""
    data = struct.pack("!HHIHBB8s", 0x0800, 0, index, 1, 0, 6, bytes(8)) + payload
    return struct.pack("=IIII", 1, 2, len(data), len(data)) + data


def captured(*records: bytes) -> Capture:
    """A capture that has read these."""
    made = Capture(RunningLab(plain_plan("x"), NetnsBackend("/")), {})
    made._names = {2: "hub", 3: "spoke-a"}

    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(HEADER + b"".join(records))
        reader.feed_eof()
        await made._read(reader)

    asyncio.run(read())
    return made


def test_each_line_gets_a_file_of_its_own_packets(tmp_path: Path) -> None:
    one, two, three = record(2, b"one"), record(3, b"two"), record(2, b"three")
    written = captured(one, two, three).write(tmp_path)
    assert sorted(path.name for path in written) == ["hub.pcap", "spoke-a.pcap"]
    assert (tmp_path / "hub.pcap").read_bytes() == HEADER + one + three
    assert (tmp_path / "spoke-a.pcap").read_bytes() == HEADER + two


def test_packets_of_other_interfaces_are_left_out(tmp_path: Path) -> None:
    assert captured(record(1, b"loopback")).write(tmp_path) == []


def test_a_packet_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    captured(record(2, b"whole"), record(2, b"cut off")[:-3]).write(tmp_path)
    assert (tmp_path / "hub.pcap").read_bytes() == HEADER + record(2, b"whole")


def test_what_is_cleared_is_gone(tmp_path: Path) -> None:
    made = captured(record(2, b"one"))
    made.clear()
    assert made.write(tmp_path) == []


def test_the_oldest_packets_go_when_there_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "LIMIT", 2 * len(record(2, b"1")))
    captured(record(2, b"1"), record(2, b"2"), record(2, b"3")).write(tmp_path)
    assert (tmp_path / "hub.pcap").read_bytes() == HEADER + record(2, b"2") + record(2, b"3")


def test_all_links_of_the_isp_are_captured_unless_somebody_chooses() -> None:
    assert sorted(lines(DECK, None).values()) == ["hub", "spoke-a", "spoke-b"]


def test_only_the_links_of_the_routers_that_were_chosen_are_captured() -> None:
    assert list(lines(DECK, ["spoke-b"]).values()) == ["spoke-b"]
    assert lines(DECK, []) == {}


def test_a_router_without_a_link_to_the_isp_is_told_with_those_that_have_one() -> None:
    with pytest.raises(UsageError, match="no NBMA link of 'spoke-x'") as caught:
        lines(DECK, ["hub", "spoke-x"])
    assert caught.value.hint == "there are: hub, spoke-a, spoke-b"
    behind = next(access.router for access in NAT.access if access.provider != NAT.isp)
    with pytest.raises(UsageError, match=f"no NBMA link of '{behind}'"):
        lines(NAT, [behind])


@pytest.mark.parametrize(
    ("words", "routers"),
    [("all", None), ("none", ()), ("hub", ("hub",)), ("hub,spoke-a", ("hub", "spoke-a"))],
)
def test_the_option_takes_all_none_or_names(words: str, routers: tuple[str, ...] | None) -> None:
    assert _routers(words) == routers
