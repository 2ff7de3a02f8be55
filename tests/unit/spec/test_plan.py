"""The plan: every address, name and default decided, the same each time."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.plan_types import Endpoint, LinkPlan, Plan, Route, StaticMap, TunnelPlan
from tests.unit.spec.labs import BUNDLED, DUAL_HUB, TWO_CLOUDS, bundled, every_plan, lab, plan

DECK = bundled("hub-and-spoke")
ANYWHERE = IPv4Network("0.0.0.0/0")


def interface(node: str, name: str) -> str:
    return str(DECK.node(node).interface(name).address)


def tunnel(of: Plan, node: str, number: int = 0) -> TunnelPlan:
    return of.node(node).tunnels[number]


def test_the_deck_has_its_nodes_in_the_order_of_the_file() -> None:
    assert [(node.name, node.kind) for node in DECK.nodes] == [
        ("hub", "router"), ("spoke-a", "router"), ("spoke-b", "router"),
        ("isp", "isp"), ("host-0", "host"), ("host-1", "host"), ("host-2", "host"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("node", "name", "address"),
    [
        ("hub", "eth1", "172.17.0.1/24"),
        ("hub", "eth2", "192.168.0.1/24"),
        ("spoke-a", "eth1", "172.16.1.1/24"),
        ("spoke-a", "eth2", "192.168.1.1/24"),
        ("spoke-b", "eth1", "172.16.2.1/24"),
        ("spoke-b", "eth2", "192.168.2.1/24"),
        ("isp", "eth1", "172.17.0.254/24"),
        ("isp", "eth2", "172.16.1.254/24"),
        ("isp", "eth3", "172.16.2.254/24"),
        ("host-0", "eth1", "192.168.0.2/24"),
        ("host-1", "eth1", "192.168.1.2/24"),
        ("host-2", "eth1", "192.168.2.2/24"),
    ],
)
def test_each_interface_of_the_deck_has_its_address(node: str, name: str, address: str) -> None:
    assert interface(node, name) == address


def test_only_the_spokes_of_the_deck_lease_their_address() -> None:
    leased = {(n.name, i.name) for n in DECK.nodes for i in n.interfaces if i.dhcp}
    assert leased == {("spoke-a", "eth1"), ("spoke-b", "eth1")}
    assert [(a.router, a.dynamic) for a in DECK.access] == [
        ("hub", False), ("spoke-a", True), ("spoke-b", True),
    ]  # fmt: skip


def test_the_decks_hub_waits_for_registrations() -> None:
    assert tunnel(DECK, "hub") == TunnelPlan(
        name="tunnel0", cloud="dmvpn", role="hub", mode="multipoint", source="eth1", destination=None,
        address=IPv4Interface("10.0.0.1/24"), nhs=(), static_maps=(), map_multicast=(),
        map_multicast_dynamic=True,
    )  # fmt: skip


@pytest.mark.parametrize(("node", "address"), [("spoke-a", "10.0.0.11/24"), ("spoke-b", "10.0.0.12/24")])
def test_the_decks_spokes_know_the_hub(node: str, address: str) -> None:
    hub, nbma = IPv4Address("10.0.0.1"), IPv4Address("172.17.0.1")
    assert tunnel(DECK, node) == TunnelPlan(
        name="tunnel0", cloud="dmvpn", role="spoke", mode="multipoint", source="eth1", destination=None,
        address=IPv4Interface(address), nhs=(hub,), static_maps=(StaticMap(hub, nbma),),
        map_multicast=(nbma,), map_multicast_dynamic=False,
    )  # fmt: skip


def test_the_decks_cloud_is_as_the_deck_says() -> None:
    (cloud,) = DECK.clouds
    assert (cloud.subnet, cloud.key, cloud.network_id) == (IPv4Network("10.0.0.0/24"), 1, 1)
    assert (cloud.holding_time_s, cloud.unique, cloud.authentication) == (3600, False, None)
    assert (cloud.mtu, cloud.tcp_mss, cloud.registration_interval_s) == (1400, 1360, None)


def test_default_routes_lead_to_the_isp_and_hosts_to_their_router() -> None:
    assert DECK.node("hub").routes == (Route(ANYWHERE, IPv4Address("172.17.0.254")),)
    assert DECK.node("host-1").routes == (Route(ANYWHERE, IPv4Address("192.168.1.1")),)
    assert DECK.node("spoke-a").routes == (), "a lease brings the route along"
    assert DECK.node("isp").routes == (), "it is connected to every NBMA subnet and knows no other"


def test_the_deck_is_cabled() -> None:
    ends = [
        (("hub", "eth1"), ("isp", "eth1")),
        (("spoke-a", "eth1"), ("isp", "eth2")),
        (("spoke-b", "eth1"), ("isp", "eth3")),
        (("hub", "eth2"), ("host-0", "eth1")),
        (("spoke-a", "eth2"), ("host-1", "eth1")),
        (("spoke-b", "eth2"), ("host-2", "eth1")),
    ]
    assert list(DECK.links) == [LinkPlan(Endpoint(*a), Endpoint(*b)) for a, b in ends]


@pytest.mark.parametrize("name", every_plan())
def test_every_end_of_a_link_is_an_interface_and_has_one_cable(name: str) -> None:
    one = every_plan()[name]
    ends = [end for link in one.links for end in (link.a, link.b)]
    interfaces = [Endpoint(node.name, each.name) for node in one.nodes for each in node.interfaces]
    assert sorted(map(str, ends)) == sorted(map(str, interfaces))


@pytest.mark.parametrize("name", every_plan())
def test_mac_addresses_are_unique_and_locally_administered(name: str) -> None:
    macs = [each.mac for node in every_plan()[name].nodes for each in node.interfaces]
    assert len(set(macs)) == len(macs)
    assert all(mac.startswith("02:") and len(mac) == 17 for mac in macs)


@pytest.mark.parametrize("name", every_plan())
def test_the_isp_leases_to_the_macs_that_ask(name: str) -> None:
    one = every_plan()[name]
    for access in one.access:
        nbma = one.node(access.router).nbma_interface()
        assert (access.customer_mac, access.customer, access.dynamic) == (nbma.mac, nbma.address, nbma.dhcp)


@pytest.mark.parametrize("name", every_plan())
def test_no_address_stands_twice_and_names_are_unique(name: str) -> None:
    one = every_plan()[name]
    addresses = [i.address for node in one.nodes for i in node.interfaces]
    addresses += [t.address for node in one.nodes for t in node.tunnels]
    assert len(set(addresses)) == len(addresses)
    assert len({node.name for node in one.nodes}) == len(one.nodes)


@pytest.mark.parametrize("name", BUNDLED)
def test_planning_again_gives_the_same(name: str) -> None:
    assert bundled(name) == bundled(name)


def test_the_digest_is_that_of_the_meaning_and_not_of_the_text() -> None:
    written = DUAL_HUB.replace("key: 1, unique: false", "mtu: 1400, unique: no, key: 1")
    assert plan("# a comment\n" + written).digest == plan(DUAL_HUB).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("key: 1", "key: 3"),
        ("unique: false", "unique: true"),
        ("172.16.2.1/24", "172.16.2.2/24"),
        ("spoke-b", "spoke-c"),
        ("lab: dual-hub", "lab: other"),
        ("{dhcp: 172.16.1.1/24}", "172.16.1.1/24"),
    ],
)
def test_the_digest_changes_with_the_topology(old: str, new: str) -> None:
    assert plan(DUAL_HUB.replace(old, new)).digest != plan(DUAL_HUB).digest


def test_a_spoke_of_two_hubs_registers_with_both_and_multicasts_to_both() -> None:
    one = plan(DUAL_HUB)
    spoke = tunnel(one, "spoke-a")
    assert [str(nhs) for nhs in spoke.nhs] == ["10.0.0.1", "10.0.0.2"]
    assert [(str(m.protocol), str(m.nbma)) for m in spoke.static_maps] == [
        ("10.0.0.1", "172.17.1.1"), ("10.0.0.2", "172.17.2.1"),
    ]  # fmt: skip
    assert [str(nbma) for nbma in spoke.map_multicast] == ["172.17.1.1", "172.17.2.1"]
    assert tunnel(one, "hub-1").nhs == tunnel(one, "hub-1").static_maps == ()


def test_addresses_that_are_left_out_are_the_next_free_ones() -> None:
    one = plan(DUAL_HUB)
    assert str(tunnel(one, "spoke-a").address) == "10.0.0.3/24"
    assert str(tunnel(one, "spoke-b").address) == "10.0.0.4/24"


def test_a_router_without_a_lan_has_no_host() -> None:
    one = plan(DUAL_HUB)
    assert one.node("hub-2").lan_interface() is None
    assert [node.name for node in one.nodes if node.kind == "host"] == ["host-0", "host-2", "host-3"]


def test_two_clouds_are_two_tunnels_with_their_own_hubs() -> None:
    one = plan(TWO_CLOUDS)
    blue, red = one.node("spoke").tunnels
    assert (blue.name, blue.cloud, str(blue.address)) == ("tunnel0", "blue", "10.0.1.77/24")
    assert (red.name, red.cloud, str(red.address)) == ("tunnel1", "red", "10.0.0.2/24")
    assert [str(nhs) for nhs in blue.nhs] == ["10.0.1.1"]
    assert [str(nhs) for nhs in red.nhs] == ["10.0.0.1"]
    assert blue.map_multicast == (), "written as empty"
    assert str(blue.static_maps[-1].nbma) == "172.17.9.9"
    assert tunnel(one, "hub-blue").map_multicast_dynamic is False
    assert one.cloud("red").tcp_mss == 1260
    assert one.isp == "carrier"
    assert one.node("client").kind == "host"


def test_a_tunnel_with_a_line_of_its_own_has_its_address_and_its_default_route() -> None:
    one = plan(TWO_CLOUDS.replace(
        "hub-red: {nbma: 172.17.1.1/24, lan: 192.168.10.1/24, clouds: {red: {role: hub}}}",
        "hub-red: {nbma: 172.17.1.1/24, lan: 192.168.10.1/24, clouds: {red: {role: hub, nbma: 172.18.1.1/24},"
        " blue: {role: spoke}}}"))  # fmt: skip
    hub = one.node("hub-red")
    assert [(each.name, str(each.address)) for each in hub.interfaces] == [
        ("eth1", "172.17.1.1/24"), ("eth2", "192.168.10.1/24"), ("eth3", "172.18.1.1/24"),
    ]  # fmt: skip
    assert [(each.cloud, each.source) for each in hub.tunnels] == [("red", "eth3"), ("blue", "eth1")]
    assert [(str(each.via), each.source and str(each.source)) for each in hub.routes] == [
        ("172.17.1.254", None), ("172.18.1.254", "172.18.1.1"),
    ]  # fmt: skip
    red = next(each for each in one.node("spoke").tunnels if each.cloud == "red")
    assert [str(each.nbma) for each in red.static_maps] == ["172.18.1.1"]
    assert [(a.interface, str(a.customer)) for a in one.access if a.router == "hub-red"] == [
        ("eth1", "172.17.1.1/24"), ("eth3", "172.18.1.1/24"),
    ]  # fmt: skip
    assert len({a.isp_interface for a in one.access}) == len(one.access)


def test_tunnels_that_name_one_line_share_it() -> None:
    hub = plan("""
lab: lines
clouds: {one: {subnet: 10.0.1.0/24}, two: {subnet: 10.0.2.0/24, key: 2}, three: {subnet: 10.0.3.0/24}}
nodes:
  hub:
    nbma: 172.17.0.1/24
    clouds: {one: {role: hub, nbma: 172.17.3.1/24}, two: {role: hub, nbma: 172.17.3.1/24}, three: {role: hub}}
""").node("hub")
    assert [(each.cloud, each.source) for each in hub.tunnels] == [
        ("one", "eth3"), ("two", "eth3"), ("three", "eth1"),
    ]  # fmt: skip
    assert [each.name for each in hub.interfaces] == ["eth1", "eth3"]


def test_members_are_found_by_cloud_and_role() -> None:
    one = plan(TWO_CLOUDS)
    assert [node.name for node, _ in one.members("red", "hub")] == ["hub-red"]
    assert [(node.name, t.name) for node, t in one.members("red", "spoke")] == [("spoke", "tunnel1")]


def test_point_to_point_spokes_have_the_hub_as_destination() -> None:
    one = bundled("phase-1")
    assert (tunnel(one, "spoke-a").mode, str(tunnel(one, "spoke-a").destination)) == (
        "point-to-point", "172.17.0.1",
    )  # fmt: skip
    assert (tunnel(one, "hub").mode, tunnel(one, "hub").destination) == ("multipoint", None)


@pytest.mark.parametrize(
    ("customer", "gateway"),
    [
        ("172.16.1.1/24", "172.16.1.254/24"),
        ("172.16.1.254/24", "172.16.1.253/24"),
        ("172.16.1.1/30", "172.16.1.2/30"),
        ("172.16.1.2/30", "172.16.1.1/30"),
        ("10.1.2.3/8", "10.255.255.254/8"),
    ],
)
def test_the_isp_has_the_last_address_that_is_not_the_customers(customer: str, gateway: str) -> None:
    assert planner.gateway_of(IPv4Interface(customer)) == IPv4Interface(gateway)


def test_a_host_gets_an_address_that_is_not_its_routers() -> None:
    assert str(plan(TWO_CLOUDS).node("client").interfaces[0].address) == "192.168.1.1/30"


def test_what_is_not_there_is_a_key_error_that_names_it() -> None:
    for look in (DECK.node, DECK.cloud, DECK.node("hub").interface):
        with pytest.raises(KeyError, match="nothing"):
            look("nothing")
    with pytest.raises(KeyError, match="host-0"):
        DECK.node("host-0").nbma_interface()


def test_a_thousand_spokes_are_planned_with_unique_macs_and_addresses() -> None:
    text = "lab: big\nclouds:\n  dmvpn: {subnet: 10.0.0.0/16}\nnodes:\n"
    text += "  hub: {nbma: 172.31.0.1/24, clouds: {dmvpn: {role: hub}}}\n"
    for i in range(1000):
        subnet = f"100.{i // 250}.{i % 250}"
        text += f"  s-{i}: {{nbma: {{dhcp: {subnet}.1/24}}, clouds: {{dmvpn: {{role: spoke}}}}}}\n"
    model = lab(text)
    one = planner.plan(model, "x.yml")
    assert len({t.address for node in one.nodes for t in node.tunnels}) == 1001
    assert len({i.mac for node in one.nodes for i in node.interfaces}) == 2002
    assert replace(one, source="y.yml") != one
