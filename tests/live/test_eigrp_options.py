"""EIGRP's further options in a whole lab: authentic packets, a default route, static routes, stubs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dmvpn_lab.testing import Labs
from tests.live import labs
from tests.live.test_eigrp import BANDWIDTH, SPLIT_HORIZON, learned

pytestmark = [pytest.mark.live, pytest.mark.long]

OPTIONS = (
    BANDWIDTH,
    ", bandwidth: 1000, authentication: hmac-sha-256, key-string: secret, metrics: wide, "
    "summary: [0.0.0.0/0], stub: [connected, static], redistribute: [static]}",
)
STATIC = ("    lan: 192.168.1.1/24\n", "    lan: 192.168.1.1/24\n    static-routes: [192.168.77.0/24]\n")


def test_spokes_have_a_default_route_and_the_hub_their_static_ones(dmvpn_labs: Labs, tmp_path: Path) -> None:
    changes = (OPTIONS, STATIC, SPLIT_HORIZON)
    path = labs.topology(tmp_path, "hub-and-spoke", "test-options", *changes)
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        assert learned(lab, "spoke-a") == {}
        table = json.loads(lab.must("spoke-a", "ip", "-json", "route", "show", "table", "8194"))
        assert [(route["dst"], route["gateway"]) for route in table] == [("default", "10.0.0.1")]
        assert learned(lab, "hub")["192.168.77.0/24"] == "10.0.0.11"
        lab.must("host-1", "ip", "addr", "add", "192.168.77.1/32", "dev", "lo")
        lab.must("host-2", "ping", "-n", "-c", "1", "-W", "5", "192.168.77.1")
        assert lab.exec("host-2", "ping", "-n", "-c", "1", "-W", "1", "198.51.100.1").exit_code != 0
        (route,) = [
            r for r in lab.show("hub", "eigrp-topology")["routes"] if r["prefix"] == "192.168.77.0/24"
        ]
        assert [path["external"] for path in route["paths"]] == [True]
        assert [n["stub"] for n in lab.show("hub", "eigrp-neighbors")] == [3, 3]
        counters = lab.show("hub", "eigrp-traffic")["counters"]
        assert [name for name in counters if name.startswith("auth-")] == []
    assert labs.left_behind("test-options") == []
