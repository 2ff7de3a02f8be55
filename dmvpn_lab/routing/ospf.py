"""OSPF by FRR, point-to-multipoint (RFC 2328): the network type made for a hub and its spokes.

Each router is a host route in it, so one spoke reaches another's address through the hub, and
no designated router has to be elected on a network where spokes do not hear each other.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.routing.base import Adjacency, Program, Rendered
from dmvpn_lab.spec.plan_types import CloudPlan, NodePlan, Plan

FRR = "/usr/lib/frr"
CONFIG = "/etc/frr/ospfd.conf"
RETRANSMIT_S = 5.0
"""OSPF's RxmtInterval: a lost packet of the database exchange costs this much."""


class Ospf:
    """`routing: {protocol: ospf}`."""

    name = "ospf"
    exchanges_routes = True

    def render(self, plan: Plan, node: NodePlan) -> Rendered:
        """mgmtd, zebra and ospfd; each reads its file itself, which spares a vtysh at the start."""
        common = ("-A", "127.0.0.1", "-P", "0", "--log", "stdout")
        mgmtd = Program("mgmtd", (f"{FRR}/mgmtd", *common),
                        ready="/run/frr/mgmtd_be.sock")  # fmt: skip
        zebra = Program("zebra", (f"{FRR}/zebra", "-f", "/etc/frr/zebra.conf", *common), after=("mgmtd",),
                        ready="/run/frr/zserv.api")  # fmt: skip
        ospfd = Program("ospfd", (f"{FRR}/ospfd", "-f", CONFIG, *common), after=("zebra",),
                        ready="/run/frr/ospfd.vty")  # fmt: skip
        files = {
            "/etc/frr/zebra.conf": f"hostname {node.name}\n",
            "/etc/frr/vtysh.conf": "no service integrated-vtysh-config\n",
            CONFIG: configuration(plan, node),
        }
        return Rendered(files, (mgmtd, zebra, ospfd), {"/run/frr": "frr"})

    def show_argv(self) -> tuple[str, ...]:
        """FRR's neighbours as JSON."""
        return ("vtysh", "-d", "ospfd", "-c", "show ip ospf neighbor json")

    def parse(self, output: str) -> tuple[Adjacency, ...]:
        """From FRR's JSON. Raises ValueError when it is none."""
        document = json.loads(output)
        try:
            entries = [entry for each in document.get("neighbors", {}).values() for entry in each]
            return tuple(_adjacency(entry) for entry in entries)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not FRR's list of neighbours: {error}") from error

    def deadline_s(self, cloud: CloudPlan) -> float:
        """A hello each way, the exchange with one retransmission, and the flooding beyond the hub.

        A neighbour whose old adjacency must first time out costs the dead interval.
        """
        routing = cloud.routing
        return routing.dead_s + 2 * routing.hello_s + 2 * RETRANSMIT_S


def configuration(plan: Plan, node: NodePlan) -> str:
    """ospfd's configuration file for one router."""
    lines = [f"hostname {node.name}", "!"]
    for tunnel in node.tunnels:
        routing = plan.cloud(tunnel.cloud).routing
        if routing.protocol == "ospf":
            lines += [
                f"interface {tunnel.name}",
                " ip ospf network point-to-multipoint",
                f" ip ospf hello-interval {routing.hello_s}",
                f" ip ospf dead-interval {routing.dead_s}",
                " ip ospf area 0",
                "!",
            ]
    lan = node.lan_interface()
    if lan is not None:
        lines += [f"interface {lan.name}", " ip ospf area 0", " ip ospf passive", "!"]
    # With proactive ARP ospfd has the kernel resolve each new neighbour (NTF_USE), which takes the
    # PERMANENT state off the binding that the agent installed.
    lines += ["router ospf", f" ospf router-id {node.tunnels[0].address.ip}", " no proactive-arp", "!", ""]
    return "\n".join(lines)


def _adjacency(entry: dict[str, Any]) -> Adjacency:
    # FRR 10 says "nbrState": "Full/-"; earlier ones "state".
    state = str(entry.get("nbrState") or entry.get("state") or "unknown").partition("/")[0]
    return Adjacency(IPv4Address(entry["ifaceAddress"]), state, state == "Full")
