"""What the lab side renders is what the node side reads: over every topology."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Interface, ip_address, ip_interface
from pathlib import PurePosixPath

import pytest

from dmvpn_lab.address import IpAddress
from dmvpn_lab.daemon import config as agent_config
from dmvpn_lab.nhrp.config import Overlay, TunnelConfig
from dmvpn_lab.node import config as node_config
from dmvpn_lab.node.config import NodeConfig, Route
from dmvpn_lab.render import agent, dhcp, node
from dmvpn_lab.render.files import files
from dmvpn_lab.spec.plan_types import NodePlan, Plan, TunnelPlan
from tests.unit.spec.labs import bundled, every_plan

PLANS = every_plan()
EACH = [(name, each) for name, plan in PLANS.items() for each in plan.nodes]
NODES = [pytest.param(name, each, id=f"{name}-{each.name}") for name, each in EACH]
ROUTERS = [node for node, (_, each) in zip(NODES, EACH, strict=True) if each.kind == "router"]


def configured(plan: Plan, each: NodePlan) -> NodeConfig:
    return node_config.parse(json.loads(node.node(plan, each)))


def tunnels(plan: Plan, each: NodePlan) -> tuple[TunnelConfig, ...]:
    return agent_config.parse(json.loads(agent.agent(plan, each))).tunnels


@pytest.mark.parametrize(("name", "each"), ROUTERS)
def test_the_agent_reads_each_tunnel_as_planned(name: str, each: NodePlan) -> None:
    plan = PLANS[name]
    for planned, read in zip(each.tunnels, tunnels(plan, each), strict=True):
        cloud = plan.cloud(planned.cloud)
        assert read == TunnelConfig(
            name=planned.name,
            mode=planned.mode,
            source=each.nbma_interface().name,
            address=planned.address,
            network_id=cloud.network_id,
            mtu=cloud.mtu,
            key=cloud.key,
            destination=planned.destination,
            authentication=cloud.authentication,
            holding_time_s=cloud.holding_time_s,
            registration_interval_s=cloud.registration_interval_s,
            unique=cloud.unique,
            nhs=planned.nhs,
            priorities=planned.priorities,
            static_maps=tuple((each.protocol, each.nbma) for each in planned.static_maps),
            map_multicast=planned.map_multicast,
            map_multicast_dynamic=planned.map_multicast_dynamic,
            resolve=cloud.phase > 1 and planned.role == "spoke",
            redirect=cloud.phase == 3 and planned.role == "hub",
            shortcut=cloud.phase == 3 and planned.role == "spoke",
            protected=cloud.ipsec is not None,
            owners=_owners(plan, planned) if planned.role == "hub" else None,
            overlays=tuple(
                Overlay(o.address, o.nhs, tuple((m.protocol, m.nbma) for m in o.static_maps))
                for o in planned.overlays
            ),
        )


def _owners(plan: Plan, tunnel: TunnelPlan) -> dict[IpAddress, str] | None:
    ipsec = plan.cloud(tunnel.cloud).ipsec
    if ipsec is None or not ipsec.bind_identity:
        return None
    members = (*plan.members(tunnel.cloud, "hub"), *plan.members(tunnel.cloud, "spoke"))
    return {each.address.ip: f"{node.name}.{plan.lab}.test" for node, each in members}


@pytest.mark.parametrize(("name", "each"), NODES)
def test_the_first_process_reads_each_node_as_planned(name: str, each: NodePlan) -> None:
    read = configured(PLANS[name], each)
    assert read.hostname == each.name
    assert [(i.name, i.mac, i.mtu) for i in read.interfaces] == [
        (i.name, i.mac, i.mtu) for i in each.interfaces
    ]
    assert [i.addresses for i in read.interfaces] == [
        () if i.dhcp else tuple(map(str, i.addresses())) for i in each.interfaces
    ]
    assert read.routes == tuple(
        Route(str(r.destination), str(r.via), None if r.source is None else str(r.source))
        for r in each.routes
    )
    assert read.agent == (each.kind == "router")


@pytest.mark.parametrize(("name", "each"), NODES)
def test_a_line_is_held_if_addresses_are_leased_on_it_and_no_route_needs_it(
    name: str, each: NodePlan
) -> None:
    read = configured(PLANS[name], each)
    held = [i for i in read.interfaces if i.held]
    leasing = {s.name.removeprefix("dhcp-") for s in read.services if s.name.startswith("dhcp-")}
    assert {i.name for i in held} == leasing
    networks = [ip_interface(address).network for i in held for address in i.addresses]
    assert not [r for r in read.routes if any(ip_address(r.via) in network for network in networks)]


@pytest.mark.parametrize(("name", "each"), NODES)
def test_each_service_finds_the_file_that_it_is_given(name: str, each: NodePlan) -> None:
    written = files(PLANS[name])[each.name]
    for service in configured(PLANS[name], each).services:
        given = [word.rpartition("=")[2] for word in service.argv if "/etc/" in word]
        assert set(given) <= set(written), service.name


@pytest.mark.parametrize(("name", "each"), NODES)
def test_what_a_service_waits_for_is_in_a_folder_that_is_made(name: str, each: NodePlan) -> None:
    read = configured(PLANS[name], each)
    made = {"/run", "/run/dmvpn-lab", *(path for path, _ in read.directories)}
    for service in read.services:
        if service.ready is not None:
            assert str(PurePosixPath(service.ready).parent) in made


@pytest.mark.parametrize("name", PLANS)
def test_each_node_gets_files_and_every_path_is_absolute(name: str) -> None:
    rendered = files(PLANS[name])
    assert list(rendered) == [each.name for each in PLANS[name].nodes]
    for each, written in rendered.items():
        assert all(path.startswith("/etc/") for path in written)
        assert written["/etc/hostname"] == f"{each}\n"
        assert (agent.PATH in written) == (PLANS[name].node(each).kind == "router")


@pytest.mark.parametrize("name", PLANS)
def test_rendering_again_gives_the_same(name: str) -> None:
    assert files(PLANS[name]) == files(PLANS[name])


def programs(plan: Plan, name: str) -> Iterator[str]:
    return (service.name for service in configured(plan, plan.node(name)).services)


def test_the_deck_runs_what_it_needs_and_nothing_more() -> None:
    deck = bundled("hub-and-spoke")
    assert list(programs(deck, "hub")) == []  # EIGRP is the agent's
    assert list(programs(deck, "spoke-a")) == ["dhcpcd"]
    assert list(programs(deck, "isp")) == ["dhcp-eth2", "dhcp-eth3"]
    assert list(programs(deck, "host-0")) == []


def test_a_cloud_without_routing_runs_no_routing_program() -> None:
    assert list(programs(PLANS["two-clouds"], "hub-blue")) == []
    assert list(programs(PLANS["two-clouds"], "spoke")) == ["dhcpcd", "mgmtd", "zebra", "ospfd"]


def test_routers_forward_and_hosts_do_not() -> None:
    deck = bundled("hub-and-spoke")
    forwards = {each.name for each in deck.nodes
                if dict(configured(deck, each).sysctls).get("net.ipv4.ip_forward") == "1"}  # fmt: skip
    assert forwards == {"hub", "spoke-a", "spoke-b", "isp"}


def test_the_control_socket_is_where_the_backends_look_for_it() -> None:
    deck = bundled("hub-and-spoke")
    document = json.loads(agent.agent(deck, deck.node("hub")))
    assert document["control"] == agent.SOCKET == "/run/dmvpn-lab/agent.sock"


def test_the_isps_server_leases_the_customers_address_and_nothing_else() -> None:
    deck = bundled("hub-and-spoke")
    line = next(a for a in deck.access if a.router == "spoke-a")
    text = dhcp.server(line).splitlines()
    assert "dhcp-range=172.16.1.0,static,255.255.255.0,120" in text
    assert f"dhcp-host={line.customer_mac},172.16.1.1" in text
    assert "dhcp-option=option:router,172.16.1.254" in text
    assert "interface=eth2" in text


def test_each_line_has_a_server_of_its_own() -> None:
    lines = [a for a in bundled("hub-and-spoke").access if a.dynamic]
    assert len({dhcp.server_path(a) for a in lines}) == len({dhcp.server_ready(a) for a in lines}) == 2


def test_a_static_line_has_no_server() -> None:
    deck = bundled("hub-and-spoke")
    hub = next(a for a in deck.access if a.router == "hub")
    assert dhcp.server_path(hub) not in files(deck)["isp"]
    assert deck.node("hub").nbma_interface().address == IPv4Interface("172.17.0.1/24")
