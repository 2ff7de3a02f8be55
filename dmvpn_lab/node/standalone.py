"""A node without a lab: what `docker run` of the node image is told by a variable or a mounted file.

    DMVPN_TUNNEL='{"address": "10.0.0.11/24", "key": 1, "hubs": {"10.0.0.1": "172.20.0.2"}}'

or the same text in /etc/dmvpn-lab/tunnel.json. `hubs` maps each hub's tunnel address to its NBMA
address; without it the node is a hub. Every other key is one of the agent's (daemon/config.py), and KEYS
has them all.
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
from dmvpn_lab.daemon.config import parse
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
KEYS = (
    "address", "hubs", *DEFAULTS, "key", "registration_interval_s", "authentication", "destination",
    "priorities", "resolve", "redirect", "shortcut", "overlays", "mode", "nhs", "map", "map_multicast",
    "map_multicast_dynamic",
)  # fmt: skip
"""What a tunnel may be told: `hubs`, and what the agent reads of a tunnel that is not protected."""
EXAMPLE = f"""docker run --cap-add NET_ADMIN -e {VARIABLE}='{{"address": "10.0.0.1/24"}}' makes a hub"""
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
    where, text = _told(environment)
    try:
        tunnel = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {error}", hint=EXAMPLE) from error
    try:
        document = agent_document(tunnel)
        parse(document)
    except KeyError as error:
        raise UsageError(f"{where}: the key {error} is missing", hint=EXAMPLE) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"{where}: {error}", hint=EXAMPLE) from error
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


def _told(environment: Mapping[str, str]) -> tuple[str, str]:
    """Where the node is told what it is, and the text. Raises UsageError."""
    if VARIABLE in environment:
        return VARIABLE, environment[VARIABLE]
    try:
        return str(TUNNEL), TUNNEL.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"no {config.PATH}, no {TUNNEL} and no {VARIABLE}", hint=EXAMPLE) from None
    except IsADirectoryError:  # so Docker mounts a file that is not there
        raise UsageError(
            f"{TUNNEL} is a directory", hint="mount a file that is there, by its whole path"
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{TUNNEL}: not JSON: {error}", hint=EXAMPLE) from None


def agent_document(tunnel: Any) -> dict[str, Any]:
    """The agent's configuration from the short form. Raises ValueError or TypeError."""
    if not isinstance(tunnel, dict):
        raise TypeError(f"a JSON object is needed, not {json.dumps(tunnel)}")
    given = dict(tunnel)
    _refuse_unknown(given)
    if "/" not in str(given.get("address")):
        raise ValueError("address: the tunnel address with its length is needed, such as 10.0.0.11/24")
    if not all(isinstance(given.get(name, ""), str) for name in ("name", "source")):
        raise TypeError("name and source are names of interfaces")
    wanted = given.pop("hubs", {})
    if not isinstance(wanted, dict):
        raise TypeError('hubs: each hub\'s tunnel and NBMA address are needed: {"10.0.0.1": "172.17.0.2"}')
    hubs = {_address("hubs", nhs): _address("hubs", nbma) for nhs, nbma in wanted.items()}
    if given.get("destination"):
        given["destination"] = _address("destination", given["destination"])
    derived = {
        "mode": "point-to-point" if given.get("destination") else "multipoint",
        "nhs": list(hubs),
        "map": [{"protocol": nhs, "nbma": nbma} for nhs, nbma in hubs.items()],
        "map_multicast": list(hubs.values()),
        "map_multicast_dynamic": not hubs,
    }
    return {"version": AGENT_VERSION, "control": CONTROL, "tunnels": [DEFAULTS | derived | given]}


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    """Raises ValueError: a key that is misspelt would do nothing, and nobody would hear of it."""
    for key in given:
        if key not in KEYS:
            import difflib  # who makes no mistake does not pay for it

            near = difflib.get_close_matches(key, KEYS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(KEYS)}"
            raise ValueError(f"there is no key {key!r}; {hint}")


def _address(key: str, text: Any) -> str:
    try:
        return str(IPv4Address(str(text)))
    except AddressValueError:
        raise ValueError(f"{key}: {text!r} is no IPv4 address") from None
