"""FRR's zebra dies and comes back under a shortcut: it neither takes the shortcut nor doubles it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agents import World, world
from tests.live.frr import Frr, eventually
from tests.live.pair import LAN, TWO, met

pytestmark = pytest.mark.live


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


def test_no_packet_is_lost_and_the_shortcut_stays_the_only_one(made: World, tmp_path: Path) -> None:
    pair = met(made)
    spoke = pair.spokes[0].netns
    frr = Frr(spoke, tmp_path, "hostname peer\n", "bgpd")
    try:
        before = spoke.ip("route show table 8193")
        assert before.split()[:3] == [LAN, "via", TWO]
        with pair.hosts[0].entered():
            ping = subprocess.Popen(["ping", "-n", "-i", "0.1", "-c", "100", "-W", "3", "192.168.2.2"],
                                    stdout=subprocess.PIPE, text=True)  # fmt: skip
        frr.end("zebra", signal.SIGKILL)
        assert spoke.ip("route show table 8193") == before
        frr.start("zebra")
        eventually(lambda: frr.log.count("Sweeping the RIB") == 2, lambda: frr.log)
        said, _ = ping.communicate()
        assert ", 0% packet loss" in said, said
        assert spoke.ip("route show table 8193") == before
        assert "proto 78" not in spoke.ip("route show")
        pair.controls[0].query("nhrp")  # what it had to tell has been told
        assert [e for e in pair.controls[0].events if e["event"] == "shortcut-removed"] == []
    finally:
        frr.close()
