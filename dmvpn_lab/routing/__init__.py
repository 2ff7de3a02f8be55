"""Routing protocols: one file a protocol."""

from __future__ import annotations

from dmvpn_lab.routing.base import RoutingProtocol
from dmvpn_lab.routing.none import NoRouting
from dmvpn_lab.routing.ospf import Ospf


def protocol(name: str) -> RoutingProtocol:
    """The routing protocol of that name in a topology; KeyError for an unknown one."""
    known: dict[str, RoutingProtocol] = {"ospf": Ospf(), "none": NoRouting()}
    return known[name]
