"""A node without a lab: what `docker run` of the node image is told by a variable or a mounted file.

    DMVPN_TUNNEL='{"address": "10.0.0.11/24", "key": 1, "hubs": {"10.0.0.1": "172.20.0.2"}}'

or the same text in /etc/dmvpn-lab/tunnel.json. `hubs` maps each hub's tunnel address to its NBMA
address; without it the node is a hub. Every other key is one of the agent's (daemon/config.py).
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any

from dmvpn_lab.daemon import __main__ as agent
from dmvpn_lab.daemon.config import VERSION as AGENT_VERSION
from dmvpn_lab.errors import UsageError
from dmvpn_lab.node import config

VARIABLE = "DMVPN_TUNNEL"
TUNNEL = Path("/etc/dmvpn-lab/tunnel.json")
CONTROL = "/run/dmvpn-lab/agent.sock"
PATIENCE_S = 60.0
"""How long the interface may take to come: nobody else is there to notice that it does not."""
DEFAULTS: dict[str, Any] = {
    "name": "tunnel0",
    "source": "eth0",
    "network_id": 1,
    "mtu": 1400,
    "holding_time_s": 7200,
    "unique": True,
}
UNDERLAY = """table inet dmvpn {
  chain underlay {
    type filter hook output priority filter; policy accept;
    ip protocol gre ip daddr 224.0.0.0/4 counter drop
  }
}
"""
"""An mGRE's multicast is copied to each peer by the agent; the original must not leave in clear."""


def load(environment: Mapping[str, str] = os.environ) -> config.NodeConfig:
    """The node's configuration: as a lab has written it, else made from the variable or the file.

    Raises UsageError that says what is wrong, or what there could be.
    """
    if config.PATH.exists():
        return config.load(config.PATH)
    text = environment.get(VARIABLE)
    where = VARIABLE if text is not None else str(TUNNEL)
    if text is None:
        if not TUNNEL.exists():
            raise UsageError(
                f"no {config.PATH}, no {TUNNEL} and no {VARIABLE}",
                hint=f'docker run -e {VARIABLE}=\'{{"address": "10.0.0.1/24"}}\' makes a hub',
            )
        text = TUNNEL.read_text(encoding="utf-8")
    try:
        document = agent_document(json.loads(text))
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error
    agent.DEFAULT_CONFIG.parent.mkdir(parents=True, exist_ok=True)
    agent.DEFAULT_CONFIG.write_text(json.dumps(document, indent=2) + "\n")
    return config.NodeConfig(
        hostname=socket.gethostname(),
        interfaces=(config.Interface(document["tunnels"][0]["source"], mtu=0, addresses=()),),
        routes=(),
        sysctls=(),
        nft=UNDERLAY,
        directories=(),
        services=(),
        agent=True,
        patience_s=PATIENCE_S,
    )


def agent_document(tunnel: Mapping[str, Any]) -> dict[str, Any]:
    """The agent's configuration from the short form. Raises ValueError or TypeError."""
    given = dict(tunnel)
    if "address" not in given:
        raise ValueError("the key 'address' is missing: the tunnel address, such as 10.0.0.11/24")
    hubs = {_address(nhs): _address(nbma) for nhs, nbma in dict(given.pop("hubs", {})).items()}
    derived = {
        "mode": "point-to-point" if given.get("destination") else "multipoint",
        "nhs": list(hubs),
        "map": [{"protocol": nhs, "nbma": nbma} for nhs, nbma in hubs.items()],
        "map_multicast": list(hubs.values()),
        "map_multicast_dynamic": not hubs,
    }
    return {"version": AGENT_VERSION, "control": CONTROL, "tunnels": [DEFAULTS | derived | given]}


def _address(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError(f"hubs: {text!r} is no IPv4 address") from None
