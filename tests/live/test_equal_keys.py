"""Tunnels of one router with the same GRE key: on lines of their own, or with far ends of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmvpn_lab.testing import Labs, LiveLab

pytestmark = pytest.mark.live

TWO_LINES = """
lab: test-two-lines
clouds:
  red: {subnet: 10.0.0.0/24, key: 7, network-id: 1, phase: 3, unique: false, routing: {protocol: bgp}}
  blue: {subnet: 10.1.0.0/24, key: 7, network-id: 1, phase: 3, unique: false, routing: {protocol: bgp}}
nodes:
  hub:
    nbma: 172.17.0.1/24
    clouds:
      red: {role: hub, address: 10.0.0.1}
      blue: {role: hub, address: 10.1.0.1, nbma: 172.18.0.1/24}
  spoke-red:
    nbma: {dhcp: 172.16.1.1/24}
    lan: 192.168.1.1/24
    clouds: {red: {role: spoke, address: 10.0.0.11}}
  spoke-blue:
    nbma: {dhcp: 172.16.2.1/24}
    lan: 192.168.2.1/24
    clouds: {blue: {role: spoke, address: 10.1.0.12}}
"""
TWO_ENDS = """
lab: test-two-ends
clouds:
  near: {subnet: 10.0.0.0/24, key: 7, spoke-gre: point-to-point, unique: false}
  far: {subnet: 10.1.0.0/24, key: 7, network-id: 2, spoke-gre: point-to-point, unique: false}
nodes:
  hub-near: {nbma: 172.17.0.1/24, lan: 192.168.10.1/24, clouds: {near: {role: hub, address: 10.0.0.1}}}
  hub-far: {nbma: 172.18.0.1/24, lan: 192.168.20.1/24, clouds: {far: {role: hub, address: 10.1.0.1}}}
  spoke:
    nbma: {dhcp: 172.16.1.1/24}
    lan: 192.168.1.1/24
    clouds: {near: {role: spoke, address: 10.0.0.11}, far: {role: spoke, address: 10.1.0.11}}
"""


def running(labs: Labs, folder: Path, text: str) -> Iterator[LiveLab]:
    path = folder / "lab.yml"
    path.write_text(text)
    with labs.running(str(path)) as made:
        yield made


@pytest.fixture
def two_lines(dmvpn_labs: Labs, tmp_path: Path) -> Iterator[LiveLab]:
    yield from running(dmvpn_labs, tmp_path, TWO_LINES)


@pytest.fixture
def two_ends(dmvpn_labs: Labs, tmp_path: Path) -> Iterator[LiveLab]:
    yield from running(dmvpn_labs, tmp_path, TWO_ENDS)


def ends(lab: LiveLab, node: str) -> list[tuple[str | None, str | None, int]]:
    """Local address, remote address and key of a router's tunnels, as the kernel has them."""
    links = json.loads(lab.must(node, "ip", "-json", "-details", "link", "show", "type", "gre"))
    data = [each["linkinfo"]["info_data"] for each in links if each["ifname"].startswith("tunnel")]
    return [(each.get("local"), each.get("remote"), int(each["ikey"].split(".")[-1])) for each in data]


def test_a_hub_with_two_lines_joins_two_clouds_of_one_key_and_spokes_of_both_meet(two_lines: LiveLab) -> None:
    two_lines.verify()
    assert ends(two_lines, "hub") == [("172.17.0.1", "any", 7), ("172.18.0.1", "any", 7)]
    said = two_lines.must("host-1", "ping", "-n", "-c", "30", "-i", "0.2", "-W", "3", "192.168.2.2")
    assert "30 received, 0% packet loss" in said, said
    two_lines.wait_for_event("shortcut-added", node="spoke-red", prefix="192.168.2.0/24", via="10.1.0.12")
    route = two_lines.must("hub", "ip", "route", "get", "172.16.2.1", "from", "172.18.0.1")
    assert "dev eth3" in route  # what has the second line's address leaves by the second line
    two_lines.must("hub", "ip", "link", "set", "tunnel1", "down")  # the way through the hub is closed
    two_lines.must("host-1", "ping", "-n", "-c", "3", "-W", "3", "192.168.2.2")


def test_two_point_to_point_tunnels_of_one_source_and_key_differ_by_their_far_ends(two_ends: LiveLab) -> None:
    two_ends.verify()
    (near, far) = ends(two_ends, "spoke")
    assert near == ("172.16.1.1", "172.17.0.1", 7)
    assert far == ("172.16.1.1", "172.18.0.1", 7)
