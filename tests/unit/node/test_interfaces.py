"""Interfaces and routes of a node: real links, which may come late."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dmvpn_lab.errors import LabError
from dmvpn_lab.linux.link import find_link
from dmvpn_lab.linux.netlink import NetlinkError
from dmvpn_lab.node import interfaces
from dmvpn_lab.node.config import Interface, NodeConfig, Route, parse
from dmvpn_lab.node.interfaces import release, set_up
from tests.live.namespaces import Netns, wire

pytestmark = pytest.mark.root


@pytest.fixture
def node() -> Iterator[Netns]:
    made = Netns()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[Netns]:
    made = Netns()
    yield made
    made.close()


def config(*interfaces: Interface, routes: tuple[Route, ...] = (), patience_s: float = 60.0) -> NodeConfig:
    document: dict[str, Any] = {"version": 1, "hostname": "n", "services": [], "agent": False,
                                "interfaces": []}  # fmt: skip
    return replace(parse(document), interfaces=interfaces, routes=routes, patience_s=patience_s)


ETH1 = Interface("eth1", 1400, ("192.0.2.1/24", "198.51.100.1/24"), "02:00:00:00:00:aa")


def test_an_interface_gets_its_mac_mtu_and_addresses_and_is_up(node: Netns, other: Netns) -> None:
    wire(other, "far", node, "eth1")
    node.down("eth1")
    with node.entered():
        set_up(config(ETH1))
    (found,) = json.loads(node.ip("-j -4 addr show eth1"))
    assert "UP" in found["flags"]
    assert found["mtu"] == 1400
    assert [(each["local"], each["prefixlen"]) for each in found["addr_info"]] == [
        ("192.0.2.1", 24), ("198.51.100.1", 24),
    ]  # fmt: skip
    assert "02:00:00:00:00:aa" in node.ip("link show eth1")


def test_a_held_line_has_no_carrier_until_it_is_released(node: Netns, other: Netns) -> None:
    wire(other, "far", node, "eth1")
    held = config(replace(ETH1, held=True))

    def flags() -> tuple[bool, bool]:
        near, far = (json.loads(netns.ip(f"-j link show {name}"))[0]["flags"]
                     for netns, name in ((node, "eth1"), (other, "far")))  # fmt: skip
        return "UP" in near, "LOWER_UP" in far

    assert flags() == (True, True)  # as containerlab gives it to a node
    with node.entered():
        set_up(held)
        assert flags() == (False, False)
        release(held)
    assert flags() == (True, True)
    assert "192.0.2.0/24" in node.ip("route show dev eth1 proto kernel")


def test_the_loopback_interface_is_up_though_nobody_names_it(node: Netns) -> None:
    node.down("lo")
    with node.entered():
        set_up(config())
    found = find_link(node.netlink, "lo")
    assert found is not None
    assert found.up


def test_routes_come_after_the_addresses_that_they_need(node: Netns, other: Netns) -> None:
    wire(other, "far", node, "eth1")
    with node.entered():
        routes = (Route("default", "192.0.2.254"), Route("10.9.0.0/16", "198.51.100.9"))
        set_up(config(ETH1, routes=routes))
    lines = node.ip("route show proto static").splitlines()
    assert [line.split(" dev")[0] for line in lines] == [
        "default via 192.0.2.254", "10.9.0.0/16 via 198.51.100.9",
    ]  # fmt: skip


def test_a_route_of_a_source_is_taken_by_what_has_that_source_only(node: Netns, other: Netns) -> None:
    for name in ("eth1", "eth3"):
        wire(other, f"far-{name}", node, name)
    first = Interface("eth1", 1500, ("192.0.2.1/24",))
    further = Interface("eth3", 1500, ("198.51.100.1/24",))
    routes = (Route("default", "192.0.2.254"), Route("default", "198.51.100.254", "198.51.100.1"))
    with node.entered():
        set_up(config(first, further, routes=routes))
    for source, gateway in (("192.0.2.1", "192.0.2.254"), ("198.51.100.1", "198.51.100.254")):
        (found,) = json.loads(node.ip(f"-json route get 203.0.113.9 from {source}"))
        assert (found["gateway"], found["dev"]) == (gateway, "eth1" if source == "192.0.2.1" else "eth3")


def test_an_interface_that_comes_later_is_waited_for_by_event(node: Netns, other: Netns) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with node.entered():
                set_up(config(ETH1, Interface("eth2", 1500, ()), patience_s=20.0))
            code = 0
        finally:
            os._exit(code)
    try:
        # It is asleep in select() before anything comes: the kernel says so.
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "S":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)
        wire(other, "far2", node, "eth2")
        assert os.waitpid(pid, os.WNOHANG) == (0, 0)  # eth1 is still missing
        began = time.monotonic()
        wire(other, "far1", node, "eth1")
        _pid, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert time.monotonic() - began < 5.0
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    assert "192.0.2.1/24" in node.ip("-4 addr show eth1")


def test_an_interface_that_does_not_come_is_named_with_what_is_there(node: Netns, other: Netns) -> None:
    wire(other, "far", node, "eth1")
    began = time.monotonic()
    with (
        node.entered(),
        pytest.raises(LabError, match=r"no interface eth2, eth3 after 0 s; there are .*eth1"),
    ):
        set_up(config(ETH1, Interface("eth3", 1500, ()), Interface("eth2", 1500, ()), patience_s=0.2))
    assert 0.2 <= time.monotonic() - began < 5.0


def test_a_node_that_waits_says_once_for_what(
    node: Netns, other: Netns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interfaces, "WORD_AFTER_S", 0.1)
    wire(other, "far", node, "eth1")
    with node.entered(), pytest.raises(LabError):
        set_up(config(ETH1, Interface("eth2", 1500, ()), patience_s=0.5))
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(";")[0] for line in said] == ["dmvpn-node: waiting for eth2"]


def test_a_gateway_that_no_address_reaches_is_refused_by_name(node: Netns, other: Netns) -> None:
    wire(other, "far", node, "eth1")
    with node.entered(), pytest.raises(NetlinkError, match=r"add route 0\.0\.0\.0/0 via 10\.0\.0\.1"):
        set_up(config(ETH1, routes=(Route("default", "10.0.0.1"),)))
