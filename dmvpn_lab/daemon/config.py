"""Reads the agent's configuration file: JSON, written by the lab side or by hand.

{"version": 1, "control": "/run/dmvpn-lab/agent.sock", "state": "/run/dmvpn-lab/agent.state",
 "tunnels": [{"name": "tunnel0", ...}],
 "ipsec": null or {"source": "eth1", "identity": "spoke-a.lab.test", ...}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_interface
from pathlib import Path
from typing import Any

from dmvpn_lab.address import IpAddress
from dmvpn_lab.daemon import eigrp_config, odr_config
from dmvpn_lab.eigrp.config import ProcessConfig
from dmvpn_lab.errors import UsageError
from dmvpn_lab.ipsec.config import ANY, IpsecConfig, Secret
from dmvpn_lab.nhrp.config import Overlay, TunnelConfig
from dmvpn_lab.odr.config import OdrConfig

VERSION = 1
SECRET_LIMIT = 8
"""Octets of Cisco's plaintext authentication."""


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Everything that one agent is told."""

    control: Path
    """Where its control socket goes."""
    tunnels: tuple[TunnelConfig, ...]
    ipsec: IpsecConfig | None = None
    """The protection of those tunnels that are `protected`."""
    eigrp: ProcessConfig | None = None
    state: Path | None = None
    """Where it keeps what the next agent takes over; None: nowhere."""
    odr: OdrConfig | None = None


def load(path: Path) -> AgentConfig:
    """Read a configuration. Raises UsageError that says what is wrong and where."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", hint="name the file with --config") from error
    except ValueError as error:
        raise UsageError(f"{path}: not JSON: {error}") from error
    try:
        return parse(document)
    except KeyError as error:
        raise UsageError(f"{path}: the key {error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path}: {error}") from error


def parse(document: dict[str, Any]) -> AgentConfig:
    """From the JSON document. Raises KeyError, TypeError or ValueError."""
    if document["version"] != VERSION:
        raise ValueError(f"version {document['version']}, this agent reads {VERSION}")
    tunnels = tuple(_tunnel(each) for each in document["tunnels"])
    if not tunnels:
        raise ValueError("no tunnels: an agent needs one at least")
    ipsec = _ipsec(document["ipsec"]) if document.get("ipsec") else None
    for each in tunnels:
        if each.protected and (ipsec is None or ipsec.source != each.source):
            raise ValueError(f"tunnel {each.name} is protected, but ipsec does not cover {each.source}")
    eigrp = eigrp_config.parse(document["eigrp"]) if document.get("eigrp") else None
    odr = odr_config.parse(document["odr"]) if document.get("odr") else None
    state = document.get("state")
    path = None if state is None else Path(state)
    return AgentConfig(Path(document["control"]), tunnels, ipsec, eigrp, path, odr)


def _ipsec(each: Mapping[str, Any]) -> IpsecConfig:
    ike, authentication = each["ike"], each["authentication"]
    if ike not in (1, 2) or authentication not in ("psk", "pubkey"):
        raise ValueError(f"ipsec: no such IKE version or authentication: {ike!r}, {authentication!r}")
    return IpsecConfig(
        source=each["source"],
        identity=each["identity"],
        ike=ike,
        proposals=tuple(each["proposals"]),
        esp_proposals=tuple(each["esp_proposals"]),
        authentication=authentication,
        secrets=tuple(Secret(s["data"], tuple(s["owners"])) for s in each.get("secrets", ())),
        certificates=tuple(each.get("certificates", ())),
        peers={IPv4Address(nbma): identity for nbma, identity in each.get("peers", {}).items()},
        peer_identity=each.get("peer_identity", ANY),
        responds=each.get("responds", False),
        dpd_s=each["dpd_s"],
        lifetime_s=each["lifetime_s"],
        ike_lifetime_s=each["ike_lifetime_s"],
    )


def _owners(owners: Mapping[str, str] | None) -> Mapping[IpAddress, str] | None:
    if owners is None:
        return None
    return {ip_address(protocol): identity for protocol, identity in owners.items()}


def _tunnel(each: dict[str, Any]) -> TunnelConfig:
    mode, destination = each["mode"], each.get("destination")
    if mode not in ("multipoint", "point-to-point"):
        raise ValueError(f"tunnel {each['name']}: mode {mode!r} is neither multipoint nor point-to-point")
    if (destination is None) != (mode == "multipoint"):
        raise ValueError(f"tunnel {each['name']}: a destination goes with point-to-point, and only there")
    interval_s, secret = each.get("registration_interval_s"), each.get("authentication")
    if secret is not None and not 1 <= len(secret.encode()) <= SECRET_LIMIT:
        raise ValueError(f"tunnel {each['name']}: authentication has 1 to {SECRET_LIMIT} octets")
    return TunnelConfig(
        name=each["name"],
        mode=mode,
        source=each["source"],
        address=ip_interface(each["address"]),
        network_id=each["network_id"],
        mtu=_number(each, "mtu", 68, 65535),
        key=None if each.get("key") is None else _number(each, "key", 0, 0xFFFFFFFF),
        destination=None if destination is None else IPv4Address(destination),
        authentication=secret,
        holding_time_s=_number(each, "holding_time_s", 1, 65535),
        registration_interval_s=None
        if interval_s is None
        else _number(each, "registration_interval_s", 1, 65535),
        unique=each["unique"],
        nhs=_servers(each),
        priorities=_priorities(each),
        static_maps=_maps(each),
        map_multicast=tuple(IPv4Address(nbma) for nbma in each.get("map_multicast", ())),
        map_multicast_dynamic=each.get("map_multicast_dynamic", False),
        resolve=each.get("resolve", False),
        redirect=each.get("redirect", False),
        shortcut=each.get("shortcut", False),
        protected=each.get("protected", False),
        owners=_owners(each.get("owners")),
        overlays=tuple(Overlay(ip_interface(o["address"]), _servers(o), _maps(o))
                       for o in each.get("overlays", ())),
    )  # fmt: skip


def _servers(each: Mapping[str, Any]) -> tuple[IpAddress, ...]:
    return tuple(ip_address(nhs) for nhs in each.get("nhs", ()))


def _maps(each: Mapping[str, Any]) -> tuple[tuple[IpAddress, IPv4Address], ...]:
    return tuple((ip_address(m["protocol"]), IPv4Address(m["nbma"])) for m in each.get("map", ()))


def _priorities(each: dict[str, Any]) -> tuple[int, ...]:
    """One for each server, or none at all. Raises ValueError."""
    priorities = tuple(int(priority) for priority in each.get("priorities", ()))
    if priorities and len(priorities) != len(each.get("nhs", ())):
        raise ValueError(f"tunnel {each['name']}: {len(priorities)} priorities for another number of servers")
    return priorities


def _number(each: dict[str, Any], key: str, low: int, high: int) -> int:
    """What fits its field on the wire or in the kernel. Raises ValueError."""
    value = each[key]
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"tunnel {each['name']}: {key} is {value!r}, not a number from {low} to {high}")
    return value
