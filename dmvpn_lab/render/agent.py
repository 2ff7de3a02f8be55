"""The agent's configuration of a router. Read by `daemon/config.py`."""

from __future__ import annotations

import json
from typing import Any

from dmvpn_lab.render import ipsec
from dmvpn_lab.render.identity import owners
from dmvpn_lab.routing import protocol
from dmvpn_lab.spec.plan_types import NodePlan, Plan, StaticMap, TunnelPlan

PATH = "/etc/dmvpn-lab/agent.json"
SOCKET = "/run/dmvpn-lab/agent.sock"
STATE = "/run/dmvpn-lab/agent.state"


def agent(plan: Plan, node: NodePlan) -> str:
    """The file's text."""
    tunnels = [_tunnel(plan, each) for each in node.tunnels]
    document = {"version": 1, "control": SOCKET, "state": STATE, "tunnels": tunnels,
                "ipsec": ipsec.agent(plan, node)}  # fmt: skip
    names = dict.fromkeys(plan.cloud(tunnel.cloud).routing.protocol for tunnel in node.tunnels)
    for name in names:
        document |= protocol(name).render(plan, node).agent
    return json.dumps(document, indent=2) + "\n"


def _tunnel(plan: Plan, tunnel: TunnelPlan) -> dict[str, Any]:
    cloud = plan.cloud(tunnel.cloud)
    bound = cloud.ipsec is not None and cloud.ipsec.bind_identity
    return {
        "name": tunnel.name,
        "mode": tunnel.mode,
        "source": tunnel.source,
        "destination": None if tunnel.destination is None else str(tunnel.destination),
        "key": cloud.key,
        "address": str(tunnel.address),
        "mtu": cloud.mtu,
        "network_id": cloud.network_id,
        "authentication": cloud.authentication,
        "holding_time_s": cloud.holding_time_s,
        "registration_interval_s": cloud.registration_interval_s,
        "unique": cloud.unique,
        "nhs": [str(nhs) for nhs in tunnel.nhs],
        "priorities": list(tunnel.priorities),
        "map": _maps(tunnel.static_maps),
        "map_multicast": [str(nbma) for nbma in tunnel.map_multicast],
        "map_multicast_dynamic": tunnel.map_multicast_dynamic,
        "resolve": cloud.phase > 1 and tunnel.role == "spoke",
        "redirect": cloud.phase == 3 and tunnel.role == "hub",
        "shortcut": cloud.phase == 3 and tunnel.role == "spoke",
        "protected": cloud.ipsec is not None,
        "owners": owners(plan, cloud.name) if tunnel.role == "hub" and bound else None,
        "overlays": [
            {
                "address": str(each.address),
                "nhs": [str(nhs) for nhs in each.nhs],
                "map": _maps(each.static_maps),
            }
            for each in tunnel.overlays
        ],
    }


def _maps(maps: tuple[StaticMap, ...]) -> list[dict[str, str]]:
    return [{"protocol": str(each.protocol), "nbma": str(each.nbma)} for each in maps]
