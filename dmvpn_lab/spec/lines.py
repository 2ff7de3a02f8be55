"""A router's access lines: the one of its `nbma`, and one for each address that a tunnel has of its own."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

from dmvpn_lab.spec.model import Dhcp, Node

NBMA, LAN = "eth1", "eth2"
FURTHER = 3
"""The first further line is eth3."""


def nbma_of(node: Node) -> IPv4Interface:
    """The (first) NBMA address of a node, static or leased."""
    return node.nbma.dhcp if isinstance(node.nbma, Dhcp) else node.nbma


def further_lines(node: Node) -> dict[str, IPv4Interface]:
    """Interface -> address of each line beside the first; clouds that name the same address share one."""
    first = nbma_of(node)
    own = dict.fromkeys(member.nbma for member in node.clouds.values() if member.nbma not in (None, first))
    return {f"eth{number}": address for number, address in enumerate(own, FURTHER) if address is not None}


def lines(node: Node) -> dict[str, IPv4Interface]:
    """Interface -> address of every line."""
    return {NBMA: nbma_of(node), **further_lines(node)}


def source_of(node: Node, cloud: str) -> str:
    """The interface that is the source of a router's tunnel."""
    own = node.clouds[cloud].nbma
    return next((name for name, address in lines(node).items() if address == own), NBMA)


def outer_of(node: Node, cloud: str) -> IPv4Address:
    """The NBMA address of a router's tunnel."""
    return lines(node)[source_of(node, cloud)].ip
