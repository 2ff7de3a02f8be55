"""Labs with routers that are not ours."""

from __future__ import annotations

from pathlib import Path

from dmvpn_lab.spec import plan as planner
from dmvpn_lab.spec.plan_types import Plan

LAB = """
lab: mixed
clouds:
  dmvpn:
    subnet: 10.0.0.0/24
    key: 1
    holding-time: 3600
    unique: false
    phase: PHASE
    authentication: secret
    routing: ROUTING
    IPSEC
nodes:
  hub:
    nbma: 172.17.0.1/24
    lan: 192.168.0.1/24
    clouds: {dmvpn: {role: hub}}
    HUB
  spoke-a:
    nbma: 172.16.1.1/24
    lan: 192.168.1.1/24
    clouds: {dmvpn: {role: spoke}}
    SPOKE
  spoke-b:
    nbma: {dhcp: 172.16.2.1/24}
    lan: 192.168.2.1/24
    clouds: {dmvpn: {role: spoke}}
"""
C8000V = "implementation: external\n    external: {image: 'vrnetlab/cisco_c8000v:17', kind: cisco_c8000v}"
EIGRP = "{protocol: eigrp, asn: 1, bandwidth: 1000}"
TEXT = """implementation: external
    external:
      image: vendor/router:1
      startup-path: /config/boot
      startup-config: |
        tunnel $tunnel_address/$tunnel_length key $tunnel_key to $hub_tunnel_address at $hub_nbma_address
        cost 5$$
      exec: [ip address add $nbma_address/$nbma_length dev $nbma_interface, echo $$HOME]"""


def mixed(
    folder: Path, *, hub: str = "", spoke: str = "", routing: str = EIGRP, ipsec: str = "", phase: int = 1
) -> Plan:
    """The plan of the lab with these pieces."""
    text = LAB
    for name, value in (("PHASE", str(phase)), ("ROUTING", routing), ("IPSEC", ipsec), ("HUB", hub),
                        ("SPOKE", spoke)):  # fmt: skip
        text = text.replace(name, value)
    path = folder / "mixed.yml"
    path.write_text(text)
    return planner.read(path)
