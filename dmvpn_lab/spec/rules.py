"""What a topology must satisfy beyond the shape of its keys: one function a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from dmvpn_lab.errors import Problem
from dmvpn_lab.spec import routing_rules
from dmvpn_lab.spec.lines import further_lines, nbma_of
from dmvpn_lab.spec.load import Document, Path_
from dmvpn_lab.spec.model import Dhcp, Lab

GRE_OVERHEAD = 24
KEY_OVERHEAD = 4
NBMA_MTU = 1500

Rule = Callable[[Lab, Document], Iterator[Problem]]


def host_name(lab: Lab, router: str) -> str:
    """Name of the host behind a router: as written, or host-N by the router's place in the file."""
    return lab.nodes[router].host or f"host-{list(lab.nodes).index(router)}"


def known_clouds(lab: Lab, document: Document) -> Iterator[Problem]:
    """A node joins clouds that are there."""
    for name, node in lab.nodes.items():
        for cloud in node.clouds:
            if cloud not in lab.clouds:
                yield document.problem(
                    ("nodes", name, "clouds", cloud), "no such cloud", expected=" or ".join(lab.clouds)
                )


def every_cloud_has_a_hub(lab: Lab, document: Document) -> Iterator[Problem]:
    """A spoke registers with a hub, so there must be one."""
    for cloud in lab.clouds:
        roles = [node.clouds[cloud].role for node in lab.nodes.values() if cloud in node.clouds]
        if "spoke" in roles and "hub" not in roles:
            yield document.problem(
                ("clouds", cloud), "spokes without a hub", hint="give one of its nodes `role: hub`"
            )


def a_hub_is_known(lab: Lab, document: Document) -> Iterator[Problem]:
    """Spokes are configured with the hub's NBMA address, so it cannot be a lease."""
    for name, node in lab.nodes.items():
        asked = any(member.role == "hub" and member.nbma is None for member in node.clouds.values())
        if isinstance(node.nbma, Dhcp) and asked:
            yield document.problem(
                ("nodes", name, "nbma"),
                "a hub's NBMA address must be known",
                hint=f"write `nbma: {node.nbma.dhcp}`",
            )


def priorities_are_hubs(lab: Lab, document: Document) -> Iterator[Problem]:
    """Spokes rank their hubs; nobody ranks spokes."""
    for name, node in lab.nodes.items():
        for cloud, member in node.clouds.items():
            if member.role == "spoke" and "priority" in member.model_fields_set:
                path = ("nodes", name, "clouds", cloud, "priority")
                yield document.problem(path, "a spoke has no priority", hint="it belongs to the hubs")


def one_hub_for_point_to_point(lab: Lab, document: Document) -> Iterator[Problem]:
    """Point-to-point GRE has one destination."""
    for cloud, settings in lab.clouds.items():
        hubs = [
            n for n, node in lab.nodes.items() if cloud in node.clouds and node.clouds[cloud].role == "hub"
        ]
        if settings.spoke_gre == "point-to-point" and len(hubs) > 1:
            yield document.problem(
                ("clouds", cloud, "spoke-gre"),
                f"point-to-point GRE with {len(hubs)} hubs ({', '.join(hubs)})",
                hint="use multipoint, or a cloud for each hub",
            )


def addresses_are_usable(lab: Lab, document: Document) -> Iterator[Problem]:
    """No address is its network's own or broadcast address, and every NBMA subnet has room."""
    for path, interface in _interfaces(lab):
        network = interface.network
        if network.prefixlen > 30:
            yield document.problem(
                path, f"{network} has no room for a second address", expected="/30 or shorter"
            )
        elif interface.ip in (network.network_address, network.broadcast_address):
            yield document.problem(path, f"{interface.ip} is no host address of {network}")
        elif not _ordinary(interface.ip):
            yield document.problem(path, f"{interface.ip} is no unicast address")


def tunnel_addresses_fit(lab: Lab, document: Document) -> Iterator[Problem]:
    """A tunnel address lies in its cloud's subnet and is used once."""
    for cloud, settings in lab.clouds.items():
        if not _ordinary(settings.subnet.network_address):
            yield document.problem(("clouds", cloud, "subnet"), f"{settings.subnet} is no unicast network")
        if settings.subnet.num_addresses - 2 < sum(cloud in node.clouds for node in lab.nodes.values()):
            yield document.problem(
                ("clouds", cloud, "subnet"), f"{settings.subnet} is too small for its members"
            )
        seen: dict[IPv4Address, str] = {}
        for name, node in lab.nodes.items():
            address = node.clouds[cloud].address if cloud in node.clouds else None
            if address is None:
                continue
            path = ("nodes", name, "clouds", cloud, "address")
            ends = (settings.subnet.network_address, settings.subnet.broadcast_address)
            if address not in settings.subnet or address in ends:
                yield document.problem(path, f"{address} is no host address of {settings.subnet}")
            elif address in seen:
                yield document.problem(path, f"{address} is {seen[address]}'s already")
            seen.setdefault(address, name)


def static_maps_make_sense(lab: Lab, document: Document) -> Iterator[Problem]:
    """A static map leads from another member's tunnel address to a unicast NBMA address, once."""
    for name, node in lab.nodes.items():
        for cloud, member in node.clouds.items():
            if cloud not in lab.clouds:
                continue
            here, subnet = ("nodes", name, "clouds", cloud), lab.clouds[cloud].subnet
            seen = set() if member.address is None else {member.address}
            for i, each in enumerate(member.map):
                path = (*here, "map", i, "protocol")
                if each.protocol not in subnet:
                    yield document.problem(path, f"{each.protocol} is no address of {subnet}")
                elif each.protocol in seen:
                    yield document.problem(path, f"{each.protocol} is this router's own, or mapped already")
                seen.add(each.protocol)
                if not _ordinary(each.nbma):
                    yield document.problem((*path[:-1], "nbma"), f"{each.nbma} is no unicast address")
            for i, nbma in enumerate(member.map_multicast or ()):
                if not _ordinary(nbma):
                    yield document.problem((*here, "map-multicast", i), f"{nbma} is no unicast address")


def subnets_do_not_overlap(lab: Lab, document: Document) -> Iterator[Problem]:
    """Every NBMA line, LAN, tunnel subnet and static route is a network of its own."""
    networks: list[tuple[Path_, IPv4Network]] = [
        (("clouds", name, "subnet"), cloud.subnet) for name, cloud in lab.clouds.items()
    ]
    networks += [(path, interface.network) for path, interface in _interfaces(lab)]
    networks += [
        (("nodes", name, "static-routes", i), network)
        for name, node in lab.nodes.items()
        for i, network in enumerate(node.static_routes)
    ]
    for i, (path, network) in enumerate(networks):
        for other_path, other in networks[:i]:
            if network.overlaps(other):
                where = ".".join(str(part) for part in other_path)
                yield document.problem(path, f"{network} overlaps {other} of {where}")
                break


def names_are_used_once(lab: Lab, document: Document) -> Iterator[Problem]:
    """Routers, hosts and the ISP router share one name space."""
    seen = dict.fromkeys(lab.nodes, "a router")
    if lab.isp in seen:
        yield document.problem(
            ("nodes", lab.isp), "the ISP router has this name", hint="set `isp:` to another"
        )
    seen[lab.isp] = "the ISP router"
    for name in lab.nats:
        if name in seen:
            yield document.problem(("nats", name), f"{name!r} is the name of {seen[name]} already")
        seen[name] = "a NAT router"
    for name, node in lab.nodes.items():
        if node.lan is None:
            if node.host is not None:
                hint = "add `lan: ADDRESS/LENGTH`"
                yield document.problem(("nodes", name, "host"), "a host without a LAN", hint=hint)
            continue
        host = host_name(lab, name)
        if host in seen:
            yield document.problem(
                ("nodes", name, "host" if node.host else "lan"),
                f"{host!r} is the name of {seen[host]} already",
                hint=None if node.host else "name the host in this LAN: `host: NAME`",
            )
        seen[host] = f"{name}'s host"


def mtu_fits(lab: Lab, document: Document) -> Iterator[Problem]:
    """A full tunnel packet with its GRE header fits the NBMA network without fragments."""
    for name, cloud in lab.clouds.items():
        largest = NBMA_MTU - GRE_OVERHEAD - (KEY_OVERHEAD if cloud.key is not None else 0)
        if cloud.mtu > largest:
            yield document.problem(
                ("clouds", name, "mtu"),
                f"{cloud.mtu} does not fit the NBMA network",
                expected=f"{largest} or less",
            )


def timers_make_sense(lab: Lab, document: Document) -> Iterator[Problem]:
    """Registrations are valid for longer than their interval."""
    for name, cloud in lab.clouds.items():
        interval = cloud.registration_interval
        if interval is not None and interval >= cloud.holding_time:
            yield document.problem(
                ("clouds", name, "registration-interval"),
                f"{interval} s, but a registration is valid for {cloud.holding_time} s",
                expected=f"less than {cloud.holding_time}",
            )


ALL: tuple[Rule, ...] = (
    known_clouds,
    every_cloud_has_a_hub,
    a_hub_is_known,
    priorities_are_hubs,
    one_hub_for_point_to_point,
    addresses_are_usable,
    tunnel_addresses_fit,
    static_maps_make_sense,
    subnets_do_not_overlap,
    names_are_used_once,
    mtu_fits,
    timers_make_sense,
    *routing_rules.ALL,
)


def _interfaces(lab: Lab) -> Iterator[tuple[Path_, IPv4Interface]]:
    for name, node in lab.nodes.items():
        yield ("nodes", name, "nbma"), nbma_of(node)
        if node.lan is not None:
            yield ("nodes", name, "lan"), node.lan
        further = list(further_lines(node).values())
        for cloud, member in node.clouds.items():
            if member.nbma in further:  # the same again is the same line
                further.remove(member.nbma)
                yield ("nodes", name, "clouds", cloud, "nbma"), member.nbma
    for name, nat in lab.nats.items():
        yield ("nats", name, "nbma"), nat.nbma


def _ordinary(address: IPv4Address) -> bool:
    """Whether an interface can have it: not 0/8, loopback, multicast or reserved."""
    return address.packed[0] not in (0, 127) and address.packed[0] < 224
