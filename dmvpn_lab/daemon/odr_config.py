"""Reads the `odr` part of the agent's configuration file.

{"device": "spoke-a", "tunnels": [{"name": "tunnel0", ...}], "lans": [{"name": "eth2", "address": ...}]}
"""

from __future__ import annotations

from ipaddress import IPv4Interface
from typing import Any

from dmvpn_lab.odr.config import OdrConfig, TunnelConfig


def parse(document: dict[str, Any]) -> OdrConfig:
    """From the JSON document. Raises KeyError, TypeError or ValueError."""
    tunnels = tuple(
        TunnelConfig(
            each["name"], IPv4Interface(each["address"]), each["hub"], each["hello_s"], each["hold_s"]
        )
        for each in document["tunnels"]
    )
    if not tunnels:
        raise ValueError("odr: no tunnels")
    lans = tuple((each["name"], IPv4Interface(each["address"])) for each in document["lans"])
    return OdrConfig(document["device"], tunnels, lans)
