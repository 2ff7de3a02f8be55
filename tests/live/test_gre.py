"""GRE links that the agent makes, as `ip` tells them, and what leaves of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.agents import HUB_NBMA, Router, World, spoke_tunnel, tunnel, world
from tests.live.capture import ETH_P_NHRP, capture

pytestmark = pytest.mark.live


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def link(router: Router, name: str = "tunnel0") -> dict[str, Any]:
    """`ip -d link` of a tunnel."""
    (found,) = json.loads(router.netns.ip(f"-d -j link show {name}"))
    return dict(found)


def point_to_point(number: int, **changes: Any) -> dict[str, Any]:
    """A spoke of the deck's phase 1: plain GRE to the hub."""
    return spoke_tunnel(number) | {
        "mode": "point-to-point", "destination": HUB_NBMA, "map": [], "map_multicast": [], **changes,
    }  # fmt: skip


def test_links_of_both_modes_with_and_without_key_are_what_the_configuration_says(lab: World) -> None:
    names = {"tunnel0": 1, "tunnel1": None, "tunnel2": 0xC0A80001}
    plain = [
        tunnel(f"10.{n}.0.1/24", name=name, key=key, network_id=n)
        for n, (name, key) in enumerate(names.items())
    ]
    direct = {"mode": "point-to-point", "destination": "172.16.1.1"}
    plain += [tunnel("10.8.0.1/24", name="direct0", key=7, network_id=8, **direct),
              tunnel("10.9.0.1/24", name="direct1", key=None, network_id=9, mtu=1476, **direct)]  # fmt: skip
    router = lab.add("router", f"{HUB_NBMA}/24", *plain)
    ready = router.start().wait("agent-ready")
    assert ready["tunnels"] == ["direct0", "direct1", *names]
    for name, dotted in (("tunnel0", "0.0.0.1"), ("tunnel1", None), ("tunnel2", "192.168.0.1")):
        found = link(router, name)
        data = found["linkinfo"]["info_data"]
        assert found["linkinfo"]["info_kind"] == "gre"
        assert (data["local"], data["remote"], data["ttl"]) == (HUB_NBMA, "any", 64)
        assert (data.get("ikey"), data.get("okey")) == (dotted, dotted)
        assert data["pmtudisc"] is True
        assert {"UP", "MULTICAST"} <= set(found["flags"])
        assert "NOARP" not in found["flags"]
        assert found["mtu"] == 1400
    for name, dotted, mtu in (("direct0", "0.0.0.7", 1400), ("direct1", None, 1476)):
        found = link(router, name)
        data = found["linkinfo"]["info_data"]
        assert (data["local"], data["remote"], data["ttl"]) == (HUB_NBMA, "172.16.1.1", 64)
        assert (data.get("ikey"), data.get("okey")) == (dotted, dotted)
        assert {"UP", "MULTICAST", "POINTOPOINT"} <= set(found["flags"])
        assert found["mtu"] == mtu


def test_another_key_is_another_network(lab: World) -> None:
    hub, stranger, spoke = lab.hub(), lab.spoke(1, key=2), lab.spoke(2)
    at_hub = hub.start()
    with capture(lab.isp, lab.lines()) as seen:
        stranger.start().wait("registration-sent")
        spoke.start().wait("registered")  # what came before it has been dealt with by now
        frames = seen.gre()
    keys = {(each.ip.source, each.gre.key) for each in frames if each.line == hub.line and each.gre}
    assert {("172.16.1.1", 2), ("172.16.2.1", 1)} <= keys
    assert at_hub.counter("received-registration-request") == 1
    assert hub.neighbours() == {"10.0.0.12": "172.16.2.1"}


def test_without_key_nhrp_and_data_leave_without_one(lab: World) -> None:
    lab.hub(key=None).start()
    spoke = lab.spoke(1, key=None)
    with capture(lab.isp, lab.lines()) as seen:
        spoke.start().wait("registered")
        spoke.ping("10.0.0.1")
        frames = seen.gre()
    assert {each.gre.key for each in frames if each.gre} == {None}
    assert {each.gre.protocol for each in frames if each.gre} == {ETH_P_NHRP, 0x0800}


@pytest.mark.parametrize(("key", "overhead"), [(1, 28), (None, 24)])
def test_the_largest_packet_passes_whole_and_a_larger_one_is_refused_at_its_sender(
    lab: World, key: int | None, overhead: int
) -> None:
    mtu = 1500 - overhead
    lab.hub(mtu=mtu, key=key).start()
    spoke = lab.spoke(1, mtu=mtu, key=key)
    spoke.start().wait("registered")
    with capture(lab.isp, lab.lines()) as seen:
        spoke.ping("10.0.0.1", "-M", "do", "-s", str(mtu - 28))
        frames = [each for each in seen.gre() if each.inner is not None]
        assert len(frames) == 4  # there and back, on two lines
        for each in frames:
            assert each.inner is not None
            assert (each.inner.length, each.ip.length, each.ip.dont_fragment) == (mtu, 1500, True)
            assert each.ip.ttl in (63, 64)
        with pytest.raises(AssertionError, match=re.compile("message too long", re.I)):
            spoke.ping("10.0.0.1", "-M", "do", "-s", str(mtu - 27))
        assert seen.gre() == []


def test_a_point_to_point_spoke_registers_and_has_no_direct_tunnel_to_another(lab: World) -> None:
    hub = lab.hub()
    one = lab.add("one", "172.16.1.1/24", point_to_point(1))
    two = lab.add("two", "172.16.2.1/24", point_to_point(2))
    hub.start()
    one.start().wait("registered")
    two.start().wait("registered")
    assert hub.neighbours() == {"10.0.0.11": "172.16.1.1", "10.0.0.12": "172.16.2.1"}
    with capture(lab.isp, lab.lines()) as seen:
        one.ping("10.0.0.12")
        ways = {each.way for each in seen.gre()}
    assert ways == {("172.16.1.1", HUB_NBMA), (HUB_NBMA, "172.16.2.1"),
                    ("172.16.2.1", HUB_NBMA), (HUB_NBMA, "172.16.1.1")}  # fmt: skip


def test_a_point_to_point_spoke_sends_its_multicast_to_the_hub_by_itself(lab: World) -> None:
    hub, spoke = lab.hub(), lab.add("one", "172.16.1.1/24", point_to_point(1))
    hub.start()
    at_spoke = spoke.start()
    at_spoke.wait("registered")
    with capture(lab.isp, lab.lines()) as seen:
        spoke.udp("224.0.0.5")
        frames = [each for each in seen.gre() if each.inner]
    assert [(each.line, each.way) for each in frames] == [
        (hub.line, ("172.16.1.1", HUB_NBMA)),
        (spoke.line, ("172.16.1.1", HUB_NBMA)),
    ]
    assert at_spoke.counter("multicast-packets") == 0  # no tap


def test_a_link_of_another_mode_is_made_anew_and_one_with_another_key_is_changed(lab: World) -> None:
    router = lab.add("router", "172.16.1.1/24", point_to_point(1))
    lab.hub()
    router.start().wait("agent-ready")
    first = link(router)
    router.end()
    router.config["tunnels"] = [spoke_tunnel(1) | {"key": 5, "mtu": 1300, "address": "10.0.0.21/24"}]
    router.start().wait("agent-ready")
    second = link(router)
    assert second["linkinfo"]["info_data"]["remote"] == "any"
    assert second["ifindex"] != first["ifindex"]
    router.end()
    router.config["tunnels"] = [spoke_tunnel(1) | {"key": 6}]
    router.start().wait("agent-ready")
    third = link(router)
    assert third["ifindex"] == second["ifindex"]
    assert third["linkinfo"]["info_data"]["ikey"] == "0.0.0.6"
    assert third["mtu"] == 1400
    assert "10.0.0.11/24" in router.netns.ip("-4 addr show tunnel0")
    assert "10.0.0.21/24" not in router.netns.ip("-4 addr show tunnel0")
