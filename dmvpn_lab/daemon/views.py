"""Answers of the control socket that need both the core and the ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address

from dmvpn_lab import __version__
from dmvpn_lab.answers import Counters, MulticastEntry, Status, TunnelStatus
from dmvpn_lab.daemon.port import Port
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.config import TunnelConfig


def multicast(agent: Agent, ports: Mapping[str, Port]) -> list[MulticastEntry]:
    """Who gets multicast, with the copies that each got."""
    entries = agent.multicast()
    for entry in entries:
        port = ports.get(entry["interface"])
        if port is not None and port.tap is not None:
            entry["packets"] = port.tap.copies[IPv4Address(entry["nbma"])]
    return entries


def heard_by(agent: Agent, interface: str) -> list[IPv4Address]:
    """The NBMA addresses that get a tunnel's multicast."""
    return [IPv4Address(each["nbma"]) for each in agent.multicast() if each["interface"] == interface]


def counters(agent: Agent, ports: Mapping[str, Port], *, state_failed: bool) -> Counters:
    """The counters of each tunnel."""
    found = agent.counters()
    for name, port in ports.items():
        found[name] = dict(sorted((found.get(name, {}) | port.all_counters()).items()))
    if state_failed:
        for counts in found.values():
            counts["state-file-failed"] = 1
    return found


def status(agent: Agent, ports: Mapping[str, Port], tunnels: Iterable[TunnelConfig], up_s: float) -> Status:
    """The agent and its tunnels."""
    shown = []
    for each in tunnels:
        nbma, outside = agent.tunnels[each.name].nbma, agent.tunnels[each.name].outside
        there = each.name in ports
        shown.append(
            TunnelStatus(interface=each.name, mode=each.mode, network_id=each.network_id,
                         address=str(each.address), nbma=None if nbma is None else str(nbma),
                         outside=None if outside is None else str(outside),
                         up=there and nbma is not None)
        )  # fmt: skip
    return Status(version=__version__, uptime_s=round(up_s, 3), tunnels=shown)
