"""Spokes that reach the hub and not each other any more, without IPsec: they notice, and meet again later."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agents import World, world
from tests.live.pair import FAR, LAN, ONE, TWO, met

pytestmark = pytest.mark.live

CUT = """table inet cut {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip saddr { 172.16.1.1, 172.16.2.1 } ip daddr { 172.16.1.1, 172.16.2.1 } counter drop
  }
}
"""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


def test_a_shortcut_whose_underlay_breaks_ends_and_comes_back_with_it(made: World) -> None:
    pair = met(made)
    with pair.hosts[0].entered():  # it is used all the time
        traffic = subprocess.Popen(["ping", "-n", "-q", "-i", "0.2", FAR], stdout=subprocess.DEVNULL)
    try:
        for control in pair.controls:  # the first question was the hub's, the second is the peer's own
            control.reaches("received-resolution-reply", 2, patience_s=60)
        made.isp.run("nft", "-f", "-", text=CUT)
        for control, prefix in zip(pair.controls, (LAN, "192.168.1.0/24"), strict=True):
            control.wait("shortcut-removed", prefix=prefix, reason="unreachable", patience_s=60)
        assert pair.gateway() == "10.0.0.1"
        pair.ping(300)  # the hub says again that there is a shorter way, and it is tried first
        pair.controls[0].wait("no-direct-way", protocol=TWO, patience_s=60)
        assert pair.gateway() == "10.0.0.1"
        assert "packets 0 " not in made.isp.run("nft", "list", "table", "inet", "cut")
        made.isp.run("nft", "delete", "table", "inet", "cut")
        pair.controls[0].wait("shortcut-added", prefix=LAN, via=TWO, patience_s=90)
        pair.controls[1].wait("shortcut-added", via=ONE, patience_s=90)
        assert pair.gateway() == TWO
        pair.ping(50)
    finally:
        traffic.kill()
        traffic.wait()
