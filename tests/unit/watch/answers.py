"""Answers of the agents of `ipsec`, the deck's lab protected, and of `phase-3`; times begin at ZERO."""

from __future__ import annotations

import json
from typing import Any

from dmvpn_lab.routing import protocol
from dmvpn_lab.watch.state import LabState
from tests.unit.spec.labs import bundled

ZERO = 1764000000.0
HUB, SPOKE_A, SPOKE_B = "172.17.0.1", "172.16.1.1", "172.16.2.1"


def status(address: str, nbma: str | None, outside: str | None = None) -> dict[str, Any]:
    tunnel = {"interface": "tunnel0", "mode": "multipoint", "network_id": 1, "address": address,
              "nbma": nbma, "outside": outside, "up": nbma is not None}  # fmt: skip
    return {"version": "0.1.0", "uptime_s": 10.0, "tunnels": [tunnel]}


def nhs(state: str, server: str = "10.0.0.1") -> dict[str, Any]:
    return {"interface": "tunnel0", "protocol": server, "nbma": HUB, "priority": 0, "state": state,
            "requests_sent": 1, "requests_failed": 0, "replies_received": 1, "replied_s_ago": 1.0,
            "renews_in_s": 1199.0, "last_error": None}  # fmt: skip


def entry(
    protocol: str, nbma: str, *flags: str, left_s: float | None = 3600.0, **more: Any
) -> dict[str, Any]:
    return {"interface": "tunnel0", "network_id": 1, "protocol": protocol, "prefix_length": 32,
            "via": protocol, "nbma": nbma, "type": "static" if left_s is None else "dynamic",
            "flags": sorted(flags), "holding_time_s": 3600, "expires_in_s": left_s, "created_s_ago": 1.0,
            **more}  # fmt: skip


def sa(local: str, nbma: str, spi_in: str, spi_out: str) -> dict[str, Any]:
    return {"local": local, "nbma": nbma, "identity": nbma, "ike": "IKEv2", "transform": "AES_GCM_16-256",
            "spi_in": spi_in, "spi_out": spi_out, "packets_in": 7, "packets_out": 9,
            "encapsulated": False}  # fmt: skip


def neighbour(address: str, up: bool = True) -> dict[str, Any]:
    return {"asn": 1, "handle": 0, "address": address, "interface": "tunnel0", "up": up, "hold_s": 14.0,
            "uptime_s": 9.0, "srtt_ms": 5.0, "rto_ms": 200, "queued": 0, "sequence": 7,
            "stub": None}  # fmt: skip


SERVER = entry("10.0.0.1", HUB, "multicast", "nhs", left_s=None)
HUB_CACHE = [
    entry("10.0.0.11", SPOKE_A, "multicast", "registered", left_s=3599.5),
    entry("10.0.0.12", SPOKE_B, "multicast", "registered", left_s=20.0),
]
ANSWERS: dict[str, dict[str, Any]] = {
    "hub": {
        "status": status("10.0.0.1/24", HUB),
        "nhs": [],
        "nhrp": HUB_CACHE,
        "ipsec": [sa(HUB, SPOKE_A, "000000a1", "000000a2"), sa(HUB, SPOKE_B, "000000b1", "000000b2")],
        "eigrp-neighbors": [neighbour("10.0.0.11"), neighbour("10.0.0.12", up=False)],
    },
    "spoke-a": {
        "status": status("10.0.0.11/24", SPOKE_A),
        "nhs": [nhs("registered")],
        "nhrp": [SERVER],
        "ipsec": [sa(SPOKE_A, HUB, "000000a2", "000000a1")],
        "eigrp-neighbors": [neighbour("10.0.0.1")],
    },
    "spoke-b": {
        "status": status("10.0.0.12/24", SPOKE_B),
        "nhs": [nhs("registered")],
        "nhrp": [SERVER],
        "ipsec": [sa(SPOKE_B, HUB, "000000b9", "000000b1")],
        "eigrp-neighbors": [neighbour("10.0.0.1")],
    },
}
"""spoke-a is whole; spoke-b shares no SA pair with the hub, which has it as a neighbour not yet up."""


def told(state: LabState, answers: dict[str, dict[str, Any]], at: float = ZERO) -> LabState:
    """A state that got these answers."""
    for node, questions in answers.items():
        for question, answer in questions.items():
            if question == "eigrp-neighbors":
                state.neighbours(node, "eigrp", protocol("eigrp").parse(json.dumps(answer)))
            else:
                state.answered(node, question, answer, at)
    return state


def deck() -> LabState:
    """The deck's lab protected, with its answers."""
    return told(LabState(bundled("ipsec")), ANSWERS)
