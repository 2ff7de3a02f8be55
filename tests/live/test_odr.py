"""On-demand routing on real tunnels: one route on a spoke, the LANs on the hub."""

from __future__ import annotations

import json

import pytest

from dmvpn_lab.testing import Labs
from tests.live import labs
from tests.live.test_eigrp import lost
from tests.live.test_restart import agent_pid

pytestmark = pytest.mark.live


def test_a_spoke_has_one_route_and_the_hub_all_before_and_after_an_address_change(dmvpn_labs: Labs) -> None:
    with dmvpn_labs.running("hub-and-spoke-odr") as lab:
        lab.verify()

        def told(node: str) -> dict[str, str]:
            out = lab.must(node, "ip", "-json", "route", "show", "table", "all", "proto", "160")
            return {route["dst"]: route["gateway"] for route in json.loads(out)}

        assert told("hub") == {"192.168.1.0/24": "10.0.0.11", "192.168.2.0/24": "10.0.0.12"}
        assert told("spoke-a") == {"default": "10.0.0.1"}
        # Its own packets, such as those of the tunnel, still go to the ISP.
        assert " via 172.16.1.254 " in lab.must("spoke-a", "ip", "route", "get", "172.17.0.1")
        code, shown = labs.cli("show", "hub", "odr", "--lab", lab.name)
        assert code == 0
        assert "spoke-a" in shown
        print([(step.step, step.after_s) for step in lab.address_change("spoke-a").steps])
        lab.verify()

        lab.must("hub", "kill", "-KILL", str(agent_pid(lab, "hub")))
        ping = lab.exec("host-1", "ping", "-n", "-i", "0.2", "-c", "60", "-W", "1", "192.168.2.2").stdout
        assert lost(ping) == "0% packet loss"

        lab.must("spoke-b", "ip", "link", "set", "eth2", "down")
        lab.wait_for(lambda: "192.168.2.0/24" not in told("hub"), 10, what="a LAN less at the hub")
        assert lab.show("hub", "odr")["counters"].get("malformed", 0) == 0
