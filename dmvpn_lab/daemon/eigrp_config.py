"""Reads the `eigrp` part of the agent's configuration file.

{"asn": 1, "router_id": "10.0.0.1", "stub": null, "interfaces": [{"name": "tunnel0", ...}]}
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from dmvpn_lab.eigrp.authentication import Key, Kind
from dmvpn_lab.eigrp.config import InterfaceConfig, ProcessConfig


def parse(document: dict[str, Any]) -> ProcessConfig:
    """From the JSON document. Raises KeyError, TypeError or ValueError."""
    interfaces = tuple(_interface(each) for each in document["interfaces"])
    names = [each.name for each in interfaces]
    if len(set(names)) != len(names):
        raise ValueError("eigrp: an interface stands twice")
    return ProcessConfig(
        asn=document["asn"],
        router_id=IPv4Address(document["router_id"]),
        interfaces=interfaces,
        stub=document.get("stub"),
        leaks=tuple(IPv4Network(leak) for leak in document.get("leaks", ())),
    )


def _interface(each: dict[str, Any]) -> InterfaceConfig:
    return InterfaceConfig(
        name=each["name"],
        address=IPv4Interface(each["address"]),
        mtu=each["mtu"],
        bandwidth_kbps=each["bandwidth_kbps"],
        delay_us=each["delay_us"],
        bandwidth_percent=each.get("bandwidth_percent", 50),
        hello_s=each["hello_s"],
        hold_s=each["hold_s"],
        passive=each.get("passive", False),
        split_horizon=each.get("split_horizon", True),
        next_hop_self=each.get("next_hop_self", True),
        summaries=tuple(IPv4Network(summary) for summary in each.get("summaries", ())),
        copies=each.get("copies", False),
        wide=each.get("wide", False),
        external=each.get("external", False),
        statics=tuple(IPv4Network(prefix) for prefix in each.get("statics", ())),
        key=_key(each["authentication"]) if each.get("authentication") else None,
    )


def _key(each: dict[str, Any]) -> Key:
    kinds = {"md5": Kind.MD5, "hmac-sha-256": Kind.SHA256}
    if each["mode"] not in kinds:
        raise ValueError(f"eigrp: no such authentication: {each['mode']!r}")
    return Key(kinds[each["mode"]], each["key"].encode(), each["key_id"])
