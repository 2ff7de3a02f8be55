"""Routing protocols: one file a protocol."""

from __future__ import annotations

from dmvpn_lab.routing.base import RoutingProtocol
from dmvpn_lab.routing.bgp import Bgp
from dmvpn_lab.routing.eigrp import Eigrp
from dmvpn_lab.routing.none import NoRouting
from dmvpn_lab.routing.odr import Odr
from dmvpn_lab.routing.ospf import Ospf
from dmvpn_lab.routing.rip import Rip

PROTOCOLS: dict[str, RoutingProtocol] = {
    each.name: each for each in (Eigrp(), Ospf(), Bgp(), Rip(), Odr(), NoRouting())
}


def protocol(name: str) -> RoutingProtocol:
    """The routing protocol of that name in a topology; KeyError for an unknown one."""
    return PROTOCOLS[name]
