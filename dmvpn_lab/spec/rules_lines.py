"""What a router's lines and tunnels must satisfy together: one function a rule.

Linux tells a GRE packet's tunnel by local address, key and remote address (net/ipv4/ip_tunnel.c): a
multipoint tunnel takes whatever remote address no other one names.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from dmvpn_lab.errors import Problem
from dmvpn_lab.spec.lines import NBMA, outer_of, source_of
from dmvpn_lab.spec.load import Document
from dmvpn_lab.spec.model import Lab

Tunnel = tuple[str, int | None, IPv4Address | None]
"""Source interface, GRE key, and the only remote address; the kernel has no two that are alike."""


def tunnels_of_a_router_differ(lab: Lab, document: Document) -> Iterator[Problem]:
    """Tunnels of one source are told apart by their GRE key, or both by their only remote address."""
    for name, node in lab.nodes.items():
        seen: dict[Tunnel, str] = {}
        for cloud in node.clouds:
            if cloud not in lab.clouds:
                continue
            tunnel = source_of(node, cloud), lab.clouds[cloud].key, _remote(lab, name, cloud)
            if tunnel in seen:
                yield document.problem(
                    ("nodes", name, "clouds", cloud),
                    f"same GRE key as {seen[tunnel]!r}, and the same tunnel source",
                    hint="give the two clouds different keys, or this tunnel a line of its own: "
                    "`nbma: ADDRESS/LENGTH`",
                )
            seen[tunnel] = cloud


def _remote(lab: Lab, name: str, cloud: str) -> IPv4Address | None:
    """The one address that a point-to-point tunnel sends to."""
    spoke = lab.nodes[name].clouds[cloud].role == "spoke"
    if not spoke or lab.clouds[cloud].spoke_gre == "multipoint":
        return None
    hubs = (node for node in lab.nodes.values() if cloud in node.clouds and node.clouds[cloud].role == "hub")
    return next((outer_of(hub, cloud) for hub in hubs), None)


def lines_of_their_own_are_possible(lab: Lab, document: Document) -> Iterator[Problem]:
    """A line of a tunnel's own: on a router of ours, for a tunnel in clear."""
    for name, node in lab.nodes.items():
        for cloud, member in node.clouds.items():
            if member.nbma is None or cloud not in lab.clouds:
                continue
            path = ("nodes", name, "clouds", cloud, "nbma")
            if node.external is not None or node.behind is not None:
                what = "an external router" if node.behind is None else "a router behind a NAT router"
                yield document.problem(path, f"{what} has one line", hint="leave it out")
            elif lab.clouds[cloud].ipsec is not None:
                hint = "give the clouds different keys and leave it out"
                yield document.problem(
                    path, "a protected tunnel has the node's own line: IKE speaks from one address", hint=hint
                )


def the_nodes_line_has_a_tunnel(lab: Lab, document: Document) -> Iterator[Problem]:
    """The agent knows the way to the Internet by the sources of its tunnels."""
    for name, node in lab.nodes.items():
        if all(source_of(node, cloud) != NBMA for cloud in node.clouds):
            hint = "leave `nbma` out of one of its clouds"
            yield document.problem(("nodes", name, "nbma"), "no tunnel has this line", hint=hint)


ALL = (tunnels_of_a_router_differ, lines_of_their_own_are_possible, the_nodes_line_has_a_tunnel)
