"""What the core did, in short: of its actions and of its cache."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.actions import Action, ChangeMulticastPeers, InstallNeighbour, Notify, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.packet import Packet, decode


def packets(actions: list[Action]) -> list[Packet]:
    """The packets sent, decoded."""
    return [decode(action.data) for action in actions if isinstance(action, SendPacket)]


def reply(actions: list[Action]) -> Packet:
    """The only packet sent."""
    (packet,) = packets(actions)
    return packet


def events(actions: list[Action]) -> list[str]:
    """The names of the events."""
    return [action.name for action in actions if isinstance(action, Notify)]


def facts(actions: list[Action], name: str) -> dict[str, Any]:
    """What the only event of that name says."""
    (found,) = [a.facts for a in actions if isinstance(a, Notify) and a.name == name]
    return dict(found)


def neighbours(actions: list[Action]) -> list[tuple[IpAddress, IPv4Address]]:
    """(protocol, NBMA) of the neighbours asked for."""
    return [(a.protocol, a.nbma) for a in actions if isinstance(a, InstallNeighbour)]


def multicast_changes(actions: list[Action]) -> list[tuple[set[IPv4Address], set[IPv4Address]]]:
    """What was added to and removed from multicast sets, in order."""
    return [(set(a.added), set(a.removed)) for a in actions if isinstance(a, ChangeMulticastPeers)]


def bindings(of: Agent, now: float = 1.0) -> dict[str, str]:
    """Protocol address -> NBMA address in the cache."""
    return {entry["protocol"]: entry["nbma"] for entry in of.nhrp(now)}
