"""Topologies as tests need them."""

from __future__ import annotations

from dmvpn_lab.controller import bundled_topologies
from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec import validate
from dmvpn_lab.spec.load import parse
from dmvpn_lab.spec.model import Lab
from dmvpn_lab.spec.plan_types import Plan

DUAL_HUB = """
lab: dual-hub
clouds:
  dmvpn: {subnet: 10.0.0.0/24, key: 1, unique: false}
nodes:
  hub-1: {nbma: 172.17.1.1/24, lan: 192.168.10.1/24, clouds: {dmvpn: {role: hub, address: 10.0.0.1}}}
  hub-2: {nbma: 172.17.2.1/24, clouds: {dmvpn: {role: hub, address: 10.0.0.2}}}
  spoke-a: {nbma: {dhcp: 172.16.1.1/24}, lan: 192.168.1.1/24, clouds: {dmvpn: {role: spoke}}}
  spoke-b: {nbma: 172.16.2.1/24, lan: 192.168.2.1/24, clouds: {dmvpn: {role: spoke}}}
"""

TWO_CLOUDS = """
lab: two-clouds
isp: carrier
clouds:
  red: {subnet: 10.0.0.0/24, key: 1, network-id: 1, mtu: 1300, routing: {hello: 2, dead: 9}}
  blue:
    subnet: 10.0.1.0/24
    key: 2
    network-id: 2
    authentication: secret
    holding-time: 90
    registration-interval: 20
    routing: {protocol: none}
nodes:
  hub-red: {nbma: 172.17.1.1/24, lan: 192.168.10.1/24, clouds: {red: {role: hub}}}
  hub-blue: {nbma: 172.17.2.1/24, clouds: {blue: {role: hub, map-multicast-dynamic: false}}}
  spoke:
    nbma: {dhcp: 172.16.1.1/30}
    lan: 192.168.1.2/30
    host: client
    clouds:
      blue:
        role: spoke
        address: 10.0.1.77
        map: [{protocol: 10.0.1.9, nbma: 172.17.9.9}]
        map-multicast: []
      red: {role: spoke}
"""

BUNDLED = sorted(path.stem for path in bundled_topologies().glob("*.yml"))


def lab(text: str) -> Lab:
    """A valid model."""
    return validate.validate(parse(text.encode(), "x.yml"))


def plan(text: str) -> Plan:
    """The plan of a topology's text."""
    return planner.plan(lab(text), "x.yml")


def bundled(name: str) -> Plan:
    """The plan of a topology that comes with the program."""
    return planner.read(bundled_topologies() / f"{name}.yml")


def every_plan() -> dict[str, Plan]:
    """All bundled topologies, and those here."""
    here = {"two-hubs": plan(DUAL_HUB), "two-clouds": plan(TWO_CLOUDS)}
    return {name: bundled(name) for name in BUNDLED} | here
