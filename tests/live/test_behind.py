"""A LAN behind a spoke goes while the spoke stays: shortcuts to it end at once, whatever routing says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.live.agents import World, world
from tests.live.pair import LAN, ONE, TWO, Pair, met, met_at_theirs

pytestmark = pytest.mark.live

AT_ONCE_S = 5.0
"""Much longer than it takes, much shorter than the 600 s that the answer would hold."""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


def port_down(pair: Pair) -> None:
    pair.spokes[1].netns.ip("link set lan down")


def cable_out(pair: Pair) -> None:
    pair.hosts[1].ip("link set eth0 down")


def address_gone(pair: Pair) -> None:
    pair.spokes[1].netns.remove("lan", "192.168.2.1/24")


def half_goes_elsewhere(pair: Pair) -> None:
    pair.spokes[1].netns.route("10.0.0.1", IPv4Network("192.168.2.0/25"))


@pytest.mark.parametrize("ends", [port_down, cable_out, address_gone, half_goes_elsewhere])
def test_shortcuts_to_a_lan_that_goes_end_at_once(made: World, ends: Callable[[Pair], None]) -> None:
    pair = met(made)
    began = time.time()
    ends(pair)
    pair.controls[1].wait("purge-sent", protocol=LAN, to=ONE, patience_s=AT_ONCE_S)
    gone = pair.controls[0].wait("shortcut-removed", prefix=LAN, reason="purged", patience_s=AT_ONCE_S)
    assert pair.gateway() == "10.0.0.1"
    print(f"{ends.__name__}: {gone['at'] - began:.3f} s from the LAN's end to that of the shortcut")
    pair.controls[1].until("received-purge-reply", 1)  # it came back through the hub


def test_a_lan_that_comes_back_is_found_again(made: World) -> None:
    pair = met(made)
    port_down(pair)
    pair.controls[0].wait("shortcut-removed", prefix=LAN, patience_s=AT_ONCE_S)
    pair.spokes[1].netns.ip("link set lan up")
    pair.ping(150)  # longer than the hub is silent about a destination that it has told of
    pair.controls[0].wait("shortcut-added", prefix=LAN, via=TWO)
    assert pair.gateway() == TWO


def test_at_nhrpd_as_hub_shortcuts_end_with_the_lan(made: World) -> None:
    pair = met_at_theirs(made)
    port_down(pair)
    pair.controls[0].wait("shortcut-removed", prefix=LAN, reason="purged", patience_s=AT_ONCE_S)
    assert pair.gateway() == "10.0.0.1"


def test_at_nhrpd_as_hub_shortcuts_follow_a_spoke_that_moves(made: World) -> None:
    """nhrpd itself would let the old answer run out."""
    pair = met_at_theirs(made)
    pair.spokes[1].move("172.16.2.1/24", "172.16.2.9/24")
    pair.controls[0].wait("shortcut-removed", prefix=LAN, reason="purged", patience_s=AT_ONCE_S)
    pair.controls[1].wait("registered", nbma="172.16.2.9", patience_s=60)
    pair.hosts[0].run("ping", "-n", "-i", "0.1", "-c", "150", "-W", "3", "192.168.2.2")
    pair.controls[0].wait("resolved", protocol=TWO, nbma="172.16.2.9", patience_s=60)
    pair.ping(10)
