"""Whose hosts must reach whose, and by which hops: read off a plan."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dmvpn_lab.address import IpAddress, IpInterface
from dmvpn_lab.routing import protocol
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan, TunnelPlan

ALL_PAIRS_UP_TO = 4
"""Spokes of a cloud up to which every ordered pair is tried; beyond, a ring of them."""
Member = tuple[NodePlan, TunnelPlan]


@dataclass(frozen=True, slots=True)
class Way:
    """What a packet from the host behind one router to the host behind another must take."""

    source: Member
    target: Member
    hops: list[IpAddress]
    """As traceroute shows them; the last is the host."""
    deadline_s: float
    """Within which the routes must be there."""


def ways(plan: Plan) -> Iterator[list[Way]]:
    """Those that are tried at once: the ones of each cloud, then those from cloud to cloud."""
    for cloud in plan.clouds:
        yield [
            Way(*pair, path(plan, cloud, *pair, version), _deadline_s(cloud))
            for version in cloud.versions()
            for pair in pairs_of(plan, cloud, version)
        ]
    yield list(crossings(plan))


def pairs_of(plan: Plan, cloud: CloudPlan, version: int = 4) -> list[tuple[Member, Member]]:
    """Which routers' hosts try to reach which: those whose routers get routes to each other's LAN."""
    if not protocol(cloud.routing.protocol).exchanges_routes:
        return []
    hubs = [m for m in plan.members(cloud.name, "hub") if has_lan(plan, m, version)]
    spokes = [m for m in plan.members(cloud.name, "spoke") if has_lan(plan, m, version)]
    if not plan.members(cloud.name, "hub"):
        return []
    pairs = [pair for hub in hubs for spoke in spokes for pair in ((spoke, hub), (hub, spoke))]
    if len(spokes) <= ALL_PAIRS_UP_TO:
        pairs += itertools.permutations(spokes, 2)
    else:
        pairs += zip(spokes, spokes[1:] + spokes[:1], strict=True)
    return [(a, b) for a, b in pairs if _knows(cloud, a, b) and _knows(cloud, b, a)]


def has_lan(plan: Plan, member: Member, version: int) -> bool:
    """Whether there is a host behind a router, and the tunnel carries what the host has."""
    host, tunnel = host_behind(plan, member[0]), {each.version for each in member[1].addresses()}
    return host is not None and version in tunnel & {each.version for each in host.interfaces[0].addresses()}


def of_family(addresses: Iterable[IpInterface], version: int) -> IpAddress:
    """The address of that family."""
    return next(each.ip for each in addresses if each.version == version)


def _knows(cloud: CloudPlan, router: Member, target: Member) -> bool:
    lan = target[0].lan_interface()
    assert lan is not None
    assert lan.address is not None
    return protocol(cloud.routing.protocol).knows(cloud, router[1], target[1], lan.address.network)


def host_behind(plan: Plan, router: NodePlan) -> NodePlan | None:
    """The host in a router's LAN."""
    lan = router.lan_interface()
    for link in plan.links:
        if lan is not None and (link.a.node, link.a.interface) == (router.name, lan.name):
            return plan.node(link.b.node)
    return None


def path(plan: Plan, cloud: CloudPlan, source: Member, target: Member, version: int = 4) -> list[IpAddress]:
    """The hops that traceroute must show within a cloud: in phase 1 the hub is one between spokes."""
    through = []
    if source[1].role == target[1].role == "spoke" and cloud.phase == 1:
        through.append(plan.members(cloud.name, "hub")[0])
    return _hops(plan, source, through, target, version)


def _hops(plan: Plan, source: Member, through: list[Member], target: Member, version: int) -> list[IpAddress]:
    """The router's LAN address, tunnel addresses, the host."""
    lan, host = source[0].lan_interface(), host_behind(plan, target[0])
    assert lan is not None
    assert host is not None
    return [
        of_family(lan.addresses(), version),
        *(of_family(tunnel.addresses(), version) for _, tunnel in [*through, target]),
        of_family(host.interfaces[0].addresses(), version),
    ]


def crossings(plan: Plan) -> Iterator[Way]:
    """From one cloud to another that has the same hub and routing protocol: that hub joins them.

    Tried between the first spokes that have a host, and are in one of both clouds only."""
    for near, far in itertools.permutations(plan.clouds, 2):
        hubs = _joining(plan, near, far)
        if len(hubs) != 1 or not _told(near, far):
            continue
        ((hub, hub_of_far),) = hubs
        for version in sorted({*near.versions()} & {*far.versions()}):
            source, target = _first_spoke(plan, near, far, version), _first_spoke(plan, far, near, version)
            if source is None or target is None:
                continue
            forth = _knows(near, source, target) and _knows(far, hub_of_far, target)
            back = _knows(far, target, source) and _knows(near, hub, source)
            if forth and back:
                through = [] if _meet(near, far) else [hub]
                hops = _hops(plan, source, through, target, version)
                yield Way(source, target, hops, _deadline_s(near) + _deadline_s(far))


def _told(near: CloudPlan, far: CloudPlan) -> bool:
    """Whether a hub of both tells the spokes of each of the other's, with a next hop that they reach."""
    routing = near.routing
    equal = routing.protocol == far.routing.protocol and routing.next_hop_self and far.routing.next_hop_self
    return equal and protocol(routing.protocol).exchanges_routes


def _meet(near: CloudPlan, far: CloudPlan) -> bool:
    """Whether a shortcut leads from a spoke of the one cloud to a spoke of the other."""
    return near.phase == far.phase == 3 and near.domain() == far.domain()


def _joining(plan: Plan, near: CloudPlan, far: CloudPlan) -> list[tuple[Member, Member]]:
    """The routers that are hubs of both clouds, as members of each."""
    there = {hub.name: (hub, tunnel) for hub, tunnel in plan.members(far.name, "hub")}
    return [
        ((hub, tunnel), there[hub.name])
        for hub, tunnel in plan.members(near.name, "hub")
        if hub.name in there
    ]


def _first_spoke(plan: Plan, cloud: CloudPlan, other: CloudPlan, version: int) -> Member | None:
    for node, tunnel in plan.members(cloud.name, "spoke"):
        if has_lan(plan, (node, tunnel), version) and other.name not in {each.cloud for each in node.tunnels}:
            return node, tunnel
    return None


def _deadline_s(cloud: CloudPlan) -> float:
    return protocol(cloud.routing.protocol).deadline_s(cloud)
