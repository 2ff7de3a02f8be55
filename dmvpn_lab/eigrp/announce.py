"""What is said of a destination on which interface: split horizon, summaries, stub, next hop."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.eigrp.actions import NextHop
from dmvpn_lab.eigrp.config import InterfaceConfig, ProcessConfig
from dmvpn_lab.eigrp.constants import External, RouteFlag, Stub
from dmvpn_lab.eigrp.dual import INFINITE, NULL, Entry, Event, Path, Topology
from dmvpn_lab.eigrp.metric import NO_ROUTE
from dmvpn_lab.eigrp.tlv import NONE, Exterior, Route
from dmvpn_lab.eigrp.wide import Vector, narrowed, widened

OWN_SUMMARY = (NULL, NONE)
"""The neighbour, so to speak, of which we have a summary."""


def route_of(
    prefix: IPv4Network, topology: Topology, config: ProcessConfig, interface: InterfaceConfig
) -> Route:
    """What is said of a destination there; unreachable where it must not be known."""
    entry = topology.entries.get(prefix)
    if entry is None:
        return Route(prefix, NO_ROUTE)
    metric = entry.metric
    if hidden(entry, topology, config, interface):
        metric = metric.withdrawn()
    next_hop = NONE
    if not interface.next_hop_self and entry.successor is not None and entry.successor[0] == interface.name:
        path = entry.paths.get(entry.successor)
        next_hop = NONE if path is None or path.own else path.next_hop
    return Route(prefix, metric, next_hop, entry.exterior)


def hidden(entry: Entry, topology: Topology, config: ProcessConfig, interface: InterfaceConfig) -> bool:
    """Whether a destination must not be known on an interface."""
    if interface.split_horizon and any(name == interface.name for name, _ in entry.successors):
        return True
    if OWN_SUMMARY in entry.successors:
        return entry.prefix not in interface.summaries or not _stub_says(entry, config)
    for summary in interface.summaries:
        if summary != entry.prefix and entry.prefix.subnet_of(summary):
            whole = topology.entries.get(summary)
            if whole is not None and OWN_SUMMARY in whole.successors:
                return True
    return not _stub_says(entry, config)


def _stub_says(entry: Entry, config: ProcessConfig) -> bool:
    """Whether a stub router speaks of a destination at all: of what it learned only by a leak map."""
    stub = config.stub
    if stub is None:
        return True
    if stub & Stub.RECEIVE_ONLY or entry.successor is None:
        return False
    if entry.successor == OWN_SUMMARY:
        return bool(stub & Stub.SUMMARY)
    if entry.successor[1] != NONE:
        return bool(stub & Stub.LEAK) and any(entry.prefix.subnet_of(leak) for leak in config.leaks)
    if entry.exterior is None:
        return bool(stub & Stub.CONNECTED)
    word = Stub.STATIC if entry.exterior.protocol == External.STATIC else Stub.CONNECTED
    return bool(stub & (word | Stub.REDISTRIBUTED))


def own_routes(interface: InterfaceConfig, router_id: IPv4Address) -> dict[IPv4Network, Path]:
    """What an interface that works brings: the network on it, and what is redistributed with it."""
    metric = interface.metric
    outer = Exterior(router_id, 0, 0, 0, External.CONNECTED) if interface.external else None
    found = {interface.address.network: own_path(metric, outer)}
    for prefix in interface.statics:
        found[prefix] = own_path(metric, Exterior(router_id, 0, 0, 0, External.STATIC))
    return found


def summary_metric(summary: IPv4Network, topology: Topology) -> Vector | None:
    """The best metric of what a summary contains; None when there is nothing."""
    parts = [
        entry
        for entry in topology
        if entry.prefix != summary
        and entry.distance < INFINITE
        and OWN_SUMMARY not in entry.successors
        and entry.prefix.subnet_of(summary)
    ]
    best = min(parts, key=lambda entry: entry.distance, default=None)
    return None if best is None else replace(best.metric, hops=0, flags=0)


def own_path(metric: Vector, exterior: Exterior | None = None) -> Path:
    """The path to what is ours."""
    return Path(NO_ROUTE, metric, NONE, exterior, own=True)


def refresh_summary(summary: IPv4Network, topology: Topology) -> dict[IPv4Network, None]:
    """Have a summary exactly as long as there is something in it; returns what is to be said anew."""
    metric = summary_metric(summary, topology)
    entry = topology.entries.get(summary)
    own = entry.paths.get(OWN_SUMMARY) if entry is not None else None
    if metric is None:
        topology.withdraw(summary, OWN_SUMMARY)
    elif own is None or own.total != metric:
        topology.hear(Event.UPDATE, summary, OWN_SUMMARY, own_path(metric))
    if (own is None) == (metric is None):
        return {}
    # What it contains is hidden from now on, or no more.
    return dict.fromkeys(each.prefix for each in topology if each.prefix.subnet_of(summary))


def path_of(route: Route, interface: InterfaceConfig, source: IPv4Address) -> Path:
    """What a neighbour said, with the link to it."""
    usable = route.next_hop in interface.address.network and route.next_hop != interface.address.ip
    heard = route.metric
    metric: Vector = replace(heard, flags=heard.flags & ~RouteFlag.ACTIVE)
    if metric.flags & RouteFlag.SOURCE_WITHDRAW:
        metric = metric.withdrawn()
    next_hop = route.next_hop if usable else source  # else our own route came back, or 0.0.0.0
    if interface.wide:
        wide = widened(metric)
        return Path(wide, wide.through(widened(interface.metric)), next_hop, route.exterior)
    classic = narrowed(metric)
    return Path(classic, classic.through(narrowed(interface.metric)), next_hop, route.exterior)


def next_hops(entry: Entry | None) -> tuple[NextHop, ...] | None:
    """The ways that the kernel needs; none: discard. None: no route of ours."""
    if entry is None or entry.successor is None:
        return None
    if entry.successor == OWN_SUMMARY:
        return ()
    found = []
    for peer in entry.successors:
        path = entry.paths.get(peer)
        if path is not None and path.own:
            return None
        if path is not None and path.distance < INFINITE:
            found.append(NextHop(peer[0], path.next_hop))
    return tuple(sorted(found, key=lambda hop: (hop.interface, hop.gateway))) or None
