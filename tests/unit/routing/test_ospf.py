"""OSPF by FRR: what is rendered for it, and what it prints."""

from __future__ import annotations

import json
from ipaddress import IPv4Address

import pytest

from dmvpn_lab.routing import protocol
from dmvpn_lab.routing.base import Adjacency
from dmvpn_lab.routing.ospf import Ospf, configuration
from tests.unit.spec.labs import TWO_CLOUDS, bundled, every_plan, plan

FRR_10_3 = r"""{
  "neighbors":{
    "10.0.0.11":[
      {
        "nbrState":"Full\/DROther",
        "nbrPriority":1,
        "converged":"Full",
        "role":"DROther",
        "upTimeInMsec":179341,
        "routerDeadIntervalTimerDueMsec":16582,
        "upTime":"2m59s",
        "deadTime":"16.582s",
        "ifaceAddress":"10.0.0.11",
        "ifaceName":"tunnel0:10.0.0.1",
        "linkStateRetransmissionListCounter":0,
        "linkStateRequestListCounter":0,
        "databaseSummaryListCounter":0
      }
    ],
    "10.0.0.12":[
      {
        "nbrState":"ExStart\/DROther",
        "nbrPriority":1,
        "converged":"ExStart",
        "role":"DROther",
        "routerDeadIntervalTimerDueMsec":5604,
        "deadTime":"5.604s",
        "ifaceAddress":"10.0.0.12",
        "ifaceName":"tunnel0:10.0.0.1",
        "linkStateRetransmissionListCounter":0,
        "linkStateRequestListCounter":0,
        "databaseSummaryListCounter":0
      }
    ]
  }
}
"""
"""The deck's hub, `vtysh -d ospfd -c "show ip ospf neighbor json"` of FRR 10.3; the second neighbour's
state was set back to the beginning of the exchange."""

DECK_SPOKE = """\
hostname spoke-a
!
interface tunnel0
 ip ospf network point-to-multipoint
 ip ospf hello-interval 5
 ip ospf dead-interval 20
 ip ospf area 0
!
interface eth2
 ip ospf area 0
 ip ospf passive
!
router ospf
 ospf router-id 10.0.0.11
 no proactive-arp
!
"""


def test_neighbours_are_read_as_frr_prints_them() -> None:
    assert Ospf().parse(FRR_10_3) == (
        Adjacency(IPv4Address("10.0.0.11"), "Full", True),
        Adjacency(IPv4Address("10.0.0.12"), "ExStart", False),
    )


@pytest.mark.parametrize("state", ["Init", "2-Way", "ExStart", "Exchange", "Loading", "Down"])
def test_only_full_is_an_adjacency(state: str) -> None:
    printed = FRR_10_3.replace(r"Full\/DROther", rf"{state}\/DROther")
    assert Ospf().parse(printed)[0] == Adjacency(IPv4Address("10.0.0.11"), state, False)


def test_a_neighbour_with_two_interfaces_is_two_adjacencies() -> None:
    document = json.loads(FRR_10_3)
    neighbours = document["neighbors"]
    neighbours["10.0.0.11"] += neighbours.pop("10.0.0.12")
    assert len(Ospf().parse(json.dumps(document))) == 2


@pytest.mark.parametrize("output", ["{}", '{\n  "neighbors":{}\n}\n'])
def test_a_router_alone_has_no_neighbours(output: str) -> None:
    assert Ospf().parse(output) == ()


@pytest.mark.parametrize(
    "output",
    [
        "",  # vtysh: "Exiting: failed to connect to any daemons." is on standard error
        "% Unknown command: show ip ospf neighbor json",
        FRR_10_3[:200],
        "[]",
        "7",
        '{"neighbors": []}',
        '{"neighbors": {"10.0.0.1": [{"nbrState": "Full/-"}]}}',
        '{"neighbors": {"10.0.0.1": [{"ifaceAddress": "nowhere"}]}}',
        '{"neighbors": {"10.0.0.1": 7}}',
    ],
)
def test_what_is_no_list_of_neighbours_is_a_value_error(output: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Ospf().parse(output)


def test_the_decks_spoke_runs_ospf_on_the_tunnel_and_announces_its_lan() -> None:
    deck = bundled("hub-and-spoke-ospf")
    assert configuration(deck, deck.node("spoke-a")) == DECK_SPOKE


def test_a_tunnel_of_a_cloud_without_routing_stays_out_of_it() -> None:
    one = plan(TWO_CLOUDS)
    text = configuration(one, one.node("spoke"))
    assert "interface tunnel0" not in text
    assert "interface tunnel1\n ip ospf network point-to-multipoint\n ip ospf hello-interval 2\n" in text
    assert " ip ospf dead-interval 9\n" in text


def test_a_router_without_lan_announces_none() -> None:
    one = every_plan()["two-hubs"]
    assert "passive" not in configuration(one, one.node("hub-2"))


@pytest.mark.parametrize("name", every_plan())
def test_router_ids_are_unique(name: str) -> None:
    one = every_plan()[name]
    ids = [line for each in one.routers() for line in configuration(one, each).splitlines()
           if "router-id" in line]  # fmt: skip
    assert len(set(ids)) == len(ids) == len(one.routers())


def test_the_daemons_start_one_after_the_other() -> None:
    deck = bundled("hub-and-spoke-ospf")
    rendered = Ospf().render(deck, deck.node("hub"))
    assert [(p.name, p.after) for p in rendered.programs] == [
        ("mgmtd", ()), ("zebra", ("mgmtd",)), ("ospfd", ("zebra",)),
    ]  # fmt: skip
    assert rendered.directories == {"/run/frr": "frr"}


def test_the_deadline_follows_the_clouds_timers() -> None:
    slow, fast = plan(TWO_CLOUDS).cloud("red"), bundled("hub-and-spoke-ospf").cloud("dmvpn")
    assert Ospf().deadline_s(slow) == 9 + 2 * 2 + 10
    assert Ospf().deadline_s(fast) == 20 + 2 * 5 + 10


def test_without_routing_there_is_nothing_to_wait_for() -> None:
    none = protocol("none")
    cloud = plan(TWO_CLOUDS).cloud("blue")
    assert (none.exchanges_routes, none.parse(""), none.deadline_s(cloud)) == (False, (), 0.0)


def test_each_protocol_that_the_schema_allows_is_there() -> None:
    from dmvpn_lab.spec.model import Routing

    for name in Routing.model_json_schema()["properties"]["protocol"]["enum"]:
        assert protocol(name).name == name
    with pytest.raises(KeyError):
        protocol("is-is")
