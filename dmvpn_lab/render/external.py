"""Routers that are not ours: their startup configuration, and their place in containerlab's file."""

from __future__ import annotations

from string import Template
from typing import Any

from dmvpn_lab.render import ios
from dmvpn_lab.spec.external import IOS, NONE, VARIABLES
from dmvpn_lab.spec.plan_types import ExternalPlan, NodePlan, Plan

PARTIAL, WHOLE = "/startup-config.partial", "/startup-config"
"""The file in a node's folder. containerlab adds a partial one to what its kind sets up by itself."""


def files(plan: Plan, node: NodePlan, told: ExternalPlan) -> dict[str, str]:
    """The startup configuration, if it has one: path in the node's folder -> text."""
    if told.startup == NONE:
        return {}
    if told.startup == IOS:
        return {PARTIAL: ios.configuration(plan, node)}
    return {WHOLE: Template(told.startup).substitute(variables(plan, node))}


def entry(plan: Plan, node: NodePlan, told: ExternalPlan) -> dict[str, Any]:
    """The node in containerlab's file."""
    found: dict[str, Any] = {
        "kind": told.kind,
        "image": told.image,
        "image-pull-policy": "IfNotPresent",
        "restart-policy": "no",
    }
    for path in files(plan, node, told):
        place = f"nodes/{node.name}{path}"
        if told.startup_path is None:
            found["startup-config"] = place
        else:
            found["binds"] = [f"{place}:{told.startup_path}:ro"]
    if told.exec:
        values = variables(plan, node)
        # containerlab expands variables of its environment in the file: a dollar sign is written twice.
        found["exec"] = [Template(each).substitute(values).replace("$", "$$") for each in told.exec]
    return found


def variables(plan: Plan, node: NodePlan) -> dict[str, str]:
    """What `$NAME` stands for; of several clouds, the first."""
    tunnel, told = node.tunnels[0], node.external
    assert told is not None
    cloud = plan.cloud(tunnel.cloud)
    nbma, lan = node.nbma_interface().address, node.lan_interface()
    hub = tunnel.static_maps[0] if tunnel.static_maps else None
    found: dict[str, object] = {
        "hostname": node.name,
        "nbma_interface": told.nbma_interface,
        "gateway": node.routes[0].via if node.routes else None,
        "tunnel_address": tunnel.address.ip,
        "tunnel_length": tunnel.address.network.prefixlen,
        "tunnel_mask": tunnel.address.netmask,
        "tunnel_key": cloud.key,
        "tunnel_mtu": cloud.mtu,
        "hub_tunnel_address": hub.protocol if hub else None,
        "hub_nbma_address": hub.nbma if hub else None,
        "network_id": cloud.network_id,
        "holding_time": cloud.holding_time_s,
        "authentication": cloud.authentication,
        "asn": cloud.routing.asn if tunnel.role == "hub" else cloud.routing.spoke_asn,
        "pre_shared_key": cloud.ipsec.pre_shared_key if cloud.ipsec else None,
    }
    for name, address in (("nbma", nbma), ("lan", lan.address if lan else None)):
        if address is not None:
            found |= {f"{name}_address": address.ip, f"{name}_length": address.network.prefixlen,
                      f"{name}_mask": address.netmask}  # fmt: skip
    if lan is not None and lan.address is not None:
        found |= {"lan_interface": told.lan_interface, "lan_network": lan.address.network}
    return {name: "" if found.get(name) is None else str(found[name]) for name in VARIABLES}
