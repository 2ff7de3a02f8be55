"""What the protocols of FRR have in common: mgmtd and zebra first, then one daemon each.

Each daemon reads its own file, which spares a vtysh at the start; those that mgmtd configures
(zebra, ripd) get theirs from it.
"""

from __future__ import annotations

from collections.abc import Iterator

from dmvpn_lab.routing.base import Program, Rendered
from dmvpn_lab.spec.plan_types import NodePlan, Plan, RoutingPlan, TunnelPlan

FOLDER = "/usr/lib/frr"
COMMON = ("-A", "127.0.0.1", "-P", "0", "--log", "stdout")
CONFIGURED_BY_MGMTD = frozenset({"mgmtd", "zebra", "ripd"})


def rendered(node: NodePlan, daemon: str, configuration: str) -> Rendered:
    """One routing daemon with its configuration, and what it stands on."""
    mgmtd = _program("mgmtd", (), "/run/frr/mgmtd_be.sock")
    zebra = _program("zebra", ("mgmtd",), "/run/frr/zserv.api")
    files = {
        "/etc/frr/zebra.conf": f"hostname {node.name}\n",
        "/etc/frr/vtysh.conf": "no service integrated-vtysh-config\n",
        f"/etc/frr/{daemon}.conf": configuration,
    }
    own = _program(daemon, ("zebra",), f"/run/frr/{daemon}.vty")
    return Rendered(files, (mgmtd, zebra, own), {"/run/frr": "frr"})


def text(node: NodePlan, lines: list[str]) -> str:
    """The text of a daemon's configuration file."""
    return "\n".join([f"hostname {node.name}", "!", *lines, ""])


def show(daemon: str, command: str) -> tuple[str, ...]:
    """The argv that asks one daemon."""
    return ("vtysh", "-d", daemon, "-c", command)


def tunnels(plan: Plan, node: NodePlan, protocol: str) -> Iterator[tuple[TunnelPlan, RoutingPlan]]:
    """The tunnels of a router over which a protocol runs."""
    for tunnel in node.tunnels:
        routing = plan.cloud(tunnel.cloud).routing
        if routing.protocol == protocol:
            yield tunnel, routing


def _program(name: str, after: tuple[str, ...], ready: str) -> Program:
    own = () if name in CONFIGURED_BY_MGMTD else ("-f", f"/etc/frr/{name}.conf")
    return Program(name, (f"{FOLDER}/{name}", *own, *COMMON), after=after, ready=ready)
