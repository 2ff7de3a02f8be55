"""EIGRP: what the agent is told, and what it answers."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network

import pytest

from dmvpn_lab.daemon import eigrp_config
from dmvpn_lab.eigrp.authentication import Key, Kind
from dmvpn_lab.routing.base import Adjacency
from dmvpn_lab.routing.eigrp import Eigrp, agent_part
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.spec.labs import bundled, plan

LAB = """
lab: x
clouds: {{red: {{subnet: 10.0.0.0/24, mtu: 1300, {cloud} routing: {{protocol: eigrp, {routing}}}}}}}
nodes:
  hub: {{nbma: 172.17.1.1/24, lan: 192.168.0.1/24, clouds: {{red: {{role: hub}}}}}}
  spoke-a: {{nbma: 172.16.1.1/24, lan: 192.168.1.1/24, clouds: {{red: {{role: spoke}}}}}}
  spoke-b: {{nbma: 172.16.2.1/24, clouds: {{red: {{role: spoke}}}}}}
"""


def lab(routing: str, cloud: str = "") -> Plan:
    return plan(LAB.format(routing=routing, cloud=cloud))


def told(of: Plan, node: str) -> dict[str, object]:
    """What the node side reads of the tunnel."""
    config = eigrp_config.parse(json.loads(json.dumps(agent_part(of, of.node(node)))))
    tunnel = config.interfaces[0]
    return {"asn": config.asn, "stub": config.stub} | {
        name: getattr(tunnel, name) for name in tunnel.__dataclass_fields__
    }


def test_the_decks_hub_has_no_split_horizon_and_its_bandwidth() -> None:
    deck = bundled("hub-and-spoke")
    hub = told(deck, "hub")
    assert (hub["asn"], hub["split_horizon"], hub["bandwidth_kbps"], hub["bandwidth_percent"]) == (
        1,
        False,
        1000,
        50,
    )
    assert (hub["hello_s"], hub["hold_s"], hub["copies"], hub["next_hop_self"]) == (5, 15, True, True)


def test_options_of_the_hub_are_the_hubs_and_those_of_spokes_the_spokes() -> None:
    one = lab("asn: 77, split-horizon: true, summary: [192.168.0.0/16], stub: [connected, summary], hello: 2")
    hub, spoke = told(one, "hub"), told(one, "spoke-a")
    assert (hub["split_horizon"], hub["summaries"], hub["stub"]) == (
        True,
        (IPv4Network("192.168.0.0/16"),),
        None,
    )
    assert (spoke["split_horizon"], spoke["summaries"], spoke["stub"]) == (True, (), 5)
    assert (spoke["asn"], spoke["mtu"], spoke["hello_s"], spoke["hold_s"]) == (77, 1300, 2, 6)


def test_a_tunnel_has_9_kbit_unless_told_otherwise() -> None:
    assert told(lab("asn: 1"), "hub")["bandwidth_kbps"] == 9
    assert told(lab("bandwidth: 512, bandwidth-percent: 20"), "spoke-a")["bandwidth_percent"] == 20


def test_a_lan_is_announced_and_hears_no_hello() -> None:
    one = lab("asn: 1")
    config = eigrp_config.parse(agent_part(one, one.node("spoke-a")))
    assert [(i.name, i.passive) for i in config.interfaces] == [("tunnel0", False), ("eth2", True)]
    assert [i.name for i in eigrp_config.parse(agent_part(one, one.node("spoke-b"))).interfaces] == [
        "tunnel0"
    ]


@pytest.mark.parametrize(
    ("routing", "spokes_meet", "hub_knows"),
    [
        ("split-horizon: false", True, True),
        ("split-horizon: true", False, True),
        ("split-horizon: true, summary: [192.168.0.0/16]", True, True),
        ("split-horizon: true, summary: [192.168.64.0/18]", False, True),
        ("stub: [connected]", True, True),
        ("stub: [summary]", False, False),
        ("stub: [receive-only]", False, False),
    ],
)
def test_who_knows_whose_lan_follows_from_the_options(
    routing: str, spokes_meet: bool, hub_knows: bool
) -> None:
    cloud = lab(routing).cloud("red")
    ((_, hub),), ((_, a), (_, b)) = lab(routing).members("red", "hub"), lab(routing).members("red", "spoke")
    assert Eigrp().knows(cloud, b, a, IPv4Network("192.168.1.0/24")) == spokes_meet
    assert Eigrp().knows(cloud, hub, a, IPv4Network("192.168.1.0/24")) == hub_knows
    assert Eigrp().knows(cloud, a, hub, IPv4Network("192.168.0.0/24"))


def test_neighbours_are_read_as_the_agent_tells_them() -> None:
    answer = [{"address": "10.0.0.11", "up": True}, {"address": "10.0.0.12", "up": False}]
    assert Eigrp().parse(json.dumps(answer)) == (
        Adjacency(IPv4Address("10.0.0.11"), "up", True),
        Adjacency(IPv4Address("10.0.0.12"), "pending", False),
    )


@pytest.mark.parametrize("output", ["", "7", '[{"up": true}]', '["x"]'])
def test_what_is_no_list_of_neighbours_is_a_value_error(output: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Eigrp().parse(output)


def test_the_deadline_grows_with_spokes_and_falls_with_bandwidth() -> None:
    slow, fast = lab("bandwidth: 9").cloud("red"), lab("bandwidth: 1000").cloud("red")
    assert Eigrp().deadline_s(slow) == pytest.approx(15 + 10 + 8 * 2 * 1300 * 8 / 4500 + 10)
    assert Eigrp().deadline_s(fast) < 36


def test_authentication_and_what_is_redistributed_reach_the_agent() -> None:
    text = LAB.replace("lan: 192.168.1.1/24", "lan: 192.168.1.1/24, static-routes: [192.168.77.0/24]")
    one = plan(
        text.format(
            cloud="",
            routing="authentication: hmac-sha-256, key-string: dmvpn, key-id: 3, "
            "redistribute: [connected, static], stub: [static, leak-map], leak: [10.9.0.0/16]",
        )
    )
    config = eigrp_config.parse(json.loads(json.dumps(agent_part(one, one.node("spoke-a")))))
    assert config.interfaces[0].key == Key(Kind.SHA256, b"dmvpn", 3)
    assert (config.stub, config.leaks) == (0x12, (IPv4Network("10.9.0.0/16"),))
    lan = config.interfaces[1]
    assert (lan.external, lan.statics, lan.passive) == (True, (IPv4Network("192.168.77.0/24"),), True)
    routes = {str(route.destination): str(route.via) for route in one.node("spoke-a").routes}
    assert routes["192.168.77.0/24"] == "192.168.1.2"
