"""The connections, keys and wishes that charon is given over VICI.

Nothing here names a peer that the operator wrote down: local address, peer and selector come from
the tunnel and the NHRP cache, as in Cisco's `tunnel protection`.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.ipsec.config import ANY, IpsecConfig, Secret

CHILD = "gre"
ANYBODY = "anybody"
"""The connection by which a hub answers whoever comes."""
REPLAY_WINDOW = 1024
"""Packets that one may overtake. With charon's own 32 a busy path that reorders loses what comes late."""


def name_of(peer: IPv4Address | None) -> str:
    """Of the connection with a peer; None: of the one that answers."""
    return ANYBODY if peer is None else f"peer-{peer}"


def peer_of(name: str) -> IPv4Address | None:
    """The peer that a connection is for; None for the one that answers."""
    return IPv4Address(name.removeprefix("peer-")) if name.startswith("peer-") else None


def connection(
    config: IpsecConfig,
    local: IPv4Address,
    peer: IPv4Address | None,
    identity: str | None = None,
    *,
    mutual: bool = False,
) -> dict[str, Any]:
    """The message of `load-conn`.

    `identity` is that of a peer which came by itself and is called back, once: it may have left.
    With a `mutual` peer either end may begin. When both do, charon must end neither pair: by `replace` it
    ends, ten seconds later, the one that it had when the other came, which need not be the same at both ends.
    """
    theirs = identity or config.peer_identity
    if peer is not None and identity is None:
        theirs = config.peers.get(peer, config.peer_identity)
    return {
        name_of(peer): {
            "version": str(config.ike),
            "local_addrs": [str(local)],
            "remote_addrs": [ANY if peer is None else str(peer)],
            "proposals": list(config.proposals),
            "mobike": "no",  # specified for tunnel mode only; a new address gets new SAs
            "unique": "never" if mutual else "replace",
            "rekey_time": f"{config.ike_lifetime_s}s",
            "dpd_delay": f"{config.dpd_s}s",
            "keyingtries": "0" if identity is None else "1",
            "local": {"auth": config.authentication, "id": config.identity},
            "remote": {"auth": config.authentication, "id": theirs},
            "children": {CHILD: _child(config)},
        }
    }


def _child(config: IpsecConfig) -> dict[str, Any]:
    return {
        "mode": "transport",
        "local_ts": ["dynamic[gre]"],
        "remote_ts": ["dynamic[gre]"],
        "esp_proposals": list(config.esp_proposals),
        # No trap policies: the agent initiates, and packets without an SA are dropped by nftables.
        "start_action": "none",
        "close_action": "none",
        "dpd_action": "clear",
        "rekey_time": f"{config.lifetime_s}s",
        "replay_window": str(REPLAY_WINDOW),
    }


def secret(number: int, each: Secret) -> dict[str, Any]:
    """The message of `load-shared`."""
    return {"id": f"key-{number}", "type": "IKE", "data": each.data, "owners": list(each.owners)}


def initiate(peer: IPv4Address) -> dict[str, Any]:
    """The message of `initiate`: charon answers at once and goes on by itself."""
    return {"ike": name_of(peer), "child": CHILD, "timeout": "-1", "init-limits": "no", "loglevel": "-1"}


def terminate(peer: IPv4Address) -> dict[str, Any]:
    """The message of `terminate` that forgets a connection's SAs without a word to the peer."""
    return {"ike": name_of(peer), "force": "yes", "timeout": "-1", "loglevel": "-1"}


def terminate_ike(ike_id: str) -> dict[str, Any]:
    """The message of `terminate` for one IKE SA with its children: the peer is told."""
    return {"ike-id": ike_id, "timeout": "-1", "loglevel": "-1"}


def terminate_child(number: int) -> dict[str, Any]:
    """The message of `terminate` for one child."""
    return {"child-id": str(number), "timeout": "-1", "loglevel": "-1"}
