"""Authentication of EIGRP on real sockets: both digests, and wide metrics, between two of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.live.agents import Router, World, tunnel, world
from tests.live.frr import eventually
from tests.live.test_eigrp_frr import interface, lan, routes

pytestmark = [pytest.mark.live, pytest.mark.long]

MD5 = {"mode": "md5", "key": "secret", "key_id": 1}
SHA = {"mode": "hmac-sha-256", "key": "secret", "key_id": 1}


def counters(control: Any) -> dict[str, int]:
    found: dict[str, int] = control.query("eigrp-traffic")["counters"]
    return found


def two(made: World, *keys: dict[str, Any] | None, **changes: Any) -> list[Router]:
    """Two of ours on one wire, with a LAN each, and a key each."""
    routers = [made.add(f"r{n}", f"172.16.{n}.1/24", tunnel(f"10.0.0.{n}/24")) for n in (1, 2)]
    left, right = routers
    left.netns.ip(f"link add wire type veth peer name wire netns {right.netns.path}")
    for number, (router, key) in enumerate(zip(routers, keys, strict=True), 1):
        router.netns.ip(f"addr add 192.0.2.{number}/24 dev wire")
        router.netns.up("wire")
        lan(router.netns, "lan1", f"192.168.{number}.1/24")
        behind = interface("lan1", f"192.168.{number}.1/24", passive=True, **changes)
        wire = interface("wire", f"192.0.2.{number}/24", authentication=key, **changes)
        router.config["eigrp"] = {"asn": 1, "router_id": f"10.0.0.{number}", "stub": None,
                                  "interfaces": [wire, behind]}  # fmt: skip
    return routers


@pytest.mark.parametrize("key", [MD5, SHA], ids=["md5", "hmac-sha-256"])
def test_two_of_ours_with_one_key_and_wide_metrics_learn_from_each_other(
    tmp_path: Path, key: dict[str, Any]
) -> None:
    with world(tmp_path) as made:
        left, right = two(made, key, key, wide=True)
        controls = [left.start(), right.start()]
        eventually(lambda: "via 192.0.2.2 dev wire proto 88" in routes(left.netns, "192.168.2.0/24"))
        eventually(lambda: "via 192.0.2.1 dev wire proto 88" in routes(right.netns, "192.168.1.0/24"))
        # 65536 x (10^7 / 100000 kbit/s + 100 us), and 100 us more of the wire.
        (route,) = [
            r for r in controls[0].query("eigrp-topology")["routes"] if r["prefix"] == "192.168.2.0/24"
        ]
        assert [(p["distance"], p["reported_distance"]) for p in route["paths"]] == [
            (65536 * 300, 65536 * 200)
        ]
        for control in controls:
            assert [name for name in counters(control) if name.startswith("auth-")] == []


@pytest.mark.parametrize(
    ("theirs", "why"),
    [({**SHA, "key": "other"}, "auth-wrong-digest"), (MD5, "auth-other-type"), (None, "auth-missing")],
    ids=["another key", "another digest", "no key"],
)
def test_a_router_with_something_else_than_our_key_is_no_neighbour(
    tmp_path: Path, theirs: dict[str, Any] | None, why: str
) -> None:
    with world(tmp_path) as made:
        left, right = two(made, SHA, theirs)
        control = left.start()
        right.start()
        eventually(lambda: counters(control).get(why, 0) >= 2, lambda: counters(control))
        assert control.query("eigrp-neighbors") == []
        assert routes(left.netns, "192.168.2.0/24") == ""
