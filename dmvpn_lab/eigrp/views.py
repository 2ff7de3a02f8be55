"""From the core's state to the answers of the control socket."""

from __future__ import annotations

from dmvpn_lab.answers import (
    EigrpInterface,
    EigrpNeighbour,
    EigrpPath,
    EigrpRoute,
    EigrpTopology,
    EigrpTraffic,
)
from dmvpn_lab.eigrp.dual import INFINITE, OUTSIDE, Entry
from dmvpn_lab.eigrp.link import Link
from dmvpn_lab.eigrp.neighbour import Neighbour
from dmvpn_lab.eigrp.speaker import Speaker
from dmvpn_lab.eigrp.tlv import NONE


def neighbours(speaker: Speaker, now: float) -> list[EigrpNeighbour]:
    """All neighbours, in the order of their appearance."""
    found = [_neighbour(speaker, link, n, now) for link in speaker.links.values()
             for n in link.neighbours.values()]  # fmt: skip
    return sorted(found, key=lambda each: each["handle"])


def _neighbour(speaker: Speaker, link: Link, neighbour: Neighbour, now: float) -> EigrpNeighbour:
    return EigrpNeighbour(
        asn=speaker.config.asn,
        handle=neighbour.number,
        address=str(neighbour.address),
        interface=link.name,
        up=neighbour.up,
        hold_s=round(max(0.0, speaker.hold_left(neighbour, now)), 3),
        uptime_s=round(now - neighbour.since, 3),
        srtt_ms=None if neighbour.srtt_s is None else round(1000 * neighbour.srtt_s, 1),
        rto_ms=round(1000 * neighbour.rto_s),
        queued=len(neighbour.queue),
        sequence=neighbour.last_sequence,
        stub=neighbour.stub,
    )


def interfaces(speaker: Speaker) -> list[EigrpInterface]:
    """All interfaces that are up and not passive, by name."""
    return [_interface(speaker.config.asn, link) for _, link in sorted(speaker.links.items())
            if not link.config.passive]  # fmt: skip


def _interface(asn: int, link: Link) -> EigrpInterface:
    up = link.up()
    known = [neighbour.srtt_s for neighbour in up if neighbour.srtt_s is not None]
    return EigrpInterface(
        asn=asn,
        interface=link.name,
        peers=len(up),
        queued=sum(len(neighbour.queue) for neighbour in up),
        srtt_ms=round(1000 * sum(known) / len(known), 1) if known else None,
        bandwidth_kbps=link.config.bandwidth_kbps,
        bandwidth_percent=link.config.bandwidth_percent,
        pacing_ms=round(1000 * link.pacing_s, 1),
    )


def topology(speaker: Speaker) -> EigrpTopology:
    """The topology table."""
    routes = [_route(entry) for entry in sorted(speaker.topology, key=lambda each: each.prefix)]
    return EigrpTopology(asn=speaker.config.asn, router_id=str(speaker.config.router_id), routes=routes)


def _route(entry: Entry) -> EigrpRoute:
    paths = []
    for (interface, address), path in entry.paths.items():
        paths.append(
            EigrpPath(
                interface=interface,
                neighbour=None if address == NONE else str(address),
                next_hop=None if path.own else str(path.next_hop),
                distance=path.distance % OUTSIDE,
                reported_distance=path.reported_distance % OUTSIDE,
                successor=(interface, address) in entry.successors,
                external=path.exterior is not None,
            )
        )
    distance = entry.feasible_distance
    return EigrpRoute(
        prefix=str(entry.prefix),
        active=entry.active,
        feasible_distance=None if distance >= INFINITE else distance % OUTSIDE,
        successors=len(entry.successors),
        waiting=sorted(str(address) for _, address in entry.waiting),
        paths=sorted(paths, key=lambda each: (not each["successor"], each["distance"])),
    )


def traffic(speaker: Speaker) -> EigrpTraffic:
    """Packets by kind and direction."""
    return EigrpTraffic(asn=speaker.config.asn, counters=dict(sorted(speaker.counters.items())))
