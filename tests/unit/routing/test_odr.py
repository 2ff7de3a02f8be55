"""ODR: what the agent is told, and what it answers."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Interface

import pytest

from dmvpn_lab.daemon import odr_config
from dmvpn_lab.errors import TopologyError
from dmvpn_lab.odr.config import TunnelConfig
from dmvpn_lab.routing.base import Adjacency
from dmvpn_lab.routing.odr import Odr, agent_part
from tests.unit.spec.labs import bundled, plan
from tests.unit.spec.test_routing_rules import LAB, refused


def test_the_agent_is_told_its_role_its_timers_and_its_lan() -> None:
    lab = bundled("hub-and-spoke-odr")
    hub, spoke = (odr_config.parse(agent_part(lab, lab.node(name))) for name in ("hub", "spoke-a"))
    assert hub.tunnels == (TunnelConfig("tunnel0", IPv4Interface("10.0.0.1/24"), True, 5, 15),)
    assert (spoke.device, spoke.tunnels[0].hub) == ("spoke-a", False)
    assert spoke.lans == (("eth2", IPv4Interface("192.168.1.1/24")),)


def test_neighbours_are_read_as_the_agent_tells_them() -> None:
    answer = {"neighbours": [{"address": "10.0.0.11"}], "counters": {}}
    assert Odr().parse(json.dumps(answer)) == (Adjacency(IPv4Address("10.0.0.11"), "heard", True),)


@pytest.mark.parametrize("output", ["", "7", "null", '{"neighbours": [{}]}'])
def test_what_is_no_list_of_neighbours_is_a_value_error(output: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Odr().parse(output)


def test_the_holding_time_fits_into_cdp() -> None:
    assert refused("protocol: odr, hello: 90") == [
        "clouds.red.routing.hello: a holding time of 270 s does not fit into CDP"
    ]
    assert refused("protocol: odr, hold: 300") == [
        "clouds.red.routing.hold: a holding time of 300 s does not fit into CDP"
    ]


def test_it_has_no_next_hop_but_the_hub_so_there_is_no_phase_2() -> None:
    with pytest.raises(TopologyError) as caught:
        plan(LAB.format(routing="protocol: odr", cloud="phase: 2,"))
    assert [each.hint for each in caught.value.problems] == ["protocol odr cannot do that: set `phase: 1`"]
