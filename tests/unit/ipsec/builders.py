"""Protectors at work, and what they asked for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.ipsec.actions import Action, Ask, Tell
from dmvpn_lab.ipsec.config import IpsecConfig, Secret
from dmvpn_lab.ipsec.protector import Protector
from dmvpn_lab.ipsec.sa import ChildSa

HUB = IPv4Address("172.17.0.1")
SPOKE = IPv4Address("172.16.1.1")
MOVED = IPv4Address("172.16.1.77")
CHILD = ChildSa(1, SPOKE, HUB, "hub.lab.test", 0xC1, 0xC2, "AES_GCM_16-128", "IKEv2")


def config(**changes: Any) -> IpsecConfig:
    made = IpsecConfig(
        source="eth1", identity="spoke-a.lab.test", ike=2, proposals=("p",), esp_proposals=("e",),
        authentication="psk", secrets=(Secret("secret"),), peers={HUB: "hub.lab.test"},
    )  # fmt: skip
    return replace(made, **changes)


def spoke() -> Protector:
    """A spoke whose charon answers and which has initiated."""
    made = Protector(config())
    made.peers_changed(frozenset({HUB}), 0.0)
    made.source_changed(SPOKE, 0.0)
    made.connected((), frozenset(), 0.0)
    return made


def hub() -> Protector:
    """A hub to which spokes come by themselves."""
    made = Protector(config(identity="hub.lab.test", responds=True, peers={}))
    made.source_changed(HUB, 0.0)
    made.connected((), frozenset(), 0.0)
    return made


def coming(number: int, peer: IPv4Address, identity: str) -> ChildSa:
    return ChildSa(number, HUB, peer, identity, number * 16, number * 16 + 1, "t", "IKEv2")


def commands(actions: list[Action]) -> list[str]:
    return [action.command for action in actions if isinstance(action, Ask)]


def told(actions: list[Action]) -> list[str]:
    return [action.name for action in actions if isinstance(action, Tell)]
