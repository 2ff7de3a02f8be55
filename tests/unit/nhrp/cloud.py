"""Agents, their routing tables and the wires between them: what one sends, the other has at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.actions import Action, FindRoute, InstallNeighbour, InstallShortcut, Notify, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.packet import Packet, decode
from dmvpn_lab.nhrp.route import Route
from tests.unit.nhrp.deck import SPOKE_NBMA, TUNNEL

NEAR, FAR = IPv4Address("192.168.1.2"), IPv4Address("192.168.2.2")
HEADER = bytes.fromhex("4500003c000040004001") + b"\0\0"


def about(source: IPv4Address = NEAR, destination: IPv4Address = FAR) -> bytes:
    """The start of a packet from one host to the other."""
    return HEADER + source.packed + destination.packed + bytes(8)


@dataclass
class Cloud:
    """Stations by NBMA address. A router with two of them stands here twice."""

    agents: dict[IPv4Address, Agent] = field(default_factory=dict)
    links: dict[IPv4Address, str] = field(default_factory=dict)
    """The tunnel that has a NBMA address as its source, where it is not the first."""
    routes: dict[IPv4Address, dict[str, Route]] = field(default_factory=dict)
    sent: list[tuple[IPv4Address, IPv4Address, Packet]] = field(default_factory=list)
    """(from, to, packet) by NBMA address."""
    done: dict[IPv4Address, list[Action]] = field(default_factory=dict)
    now: float = 1.0
    cut: set[frozenset[IPv4Address]] = field(default_factory=set)
    """Pairs of NBMA addresses between which nothing passes."""

    def carry_out(self, at: IPv4Address, actions: list[Action]) -> None:
        """Do all of it, and all that follows, at the station with that NBMA address."""
        for action in actions:
            self.done.setdefault(at, []).append(action)
            match action:
                case InstallNeighbour(token=int(token)):
                    self.carry_out(at, self.agents[at].installed(token, True, self.now))
                case FindRoute(token, address):
                    self.carry_out(at, self.agents[at].found(token, self.route(at, address), self.now))
                case SendPacket(interface, nbma, data):
                    source = self.agents[at].tunnels[interface].nbma
                    assert source is not None
                    self.sent.append((source, nbma, decode(data)))
                    if nbma in self.agents and frozenset({source, nbma}) not in self.cut:
                        link = self.links.get(nbma, TUNNEL)
                        self.carry_out(nbma, self.agents[nbma].receive(link, data, source, self.now))

    def route(self, at: IPv4Address, address: IpAddress) -> Route | None:
        """The longest match."""
        able = [route for route in self.routes[at].values() if address in route.prefix]
        return max(able, key=lambda route: route.prefix.prefixlen, default=None)

    def shortcuts(self, at: IPv4Address = SPOKE_NBMA) -> list[tuple[str, str]]:
        """What a station has added."""
        return [(str(a.prefix), str(a.via)) for a in self.done[at] if isinstance(a, InstallShortcut)]

    def events(self, at: IPv4Address) -> list[str]:
        return [a.name for a in self.done.get(at, []) if isinstance(a, Notify)]

    def kinds(self) -> list[tuple[str, str, int]]:
        """(from, to, type) of what was sent."""
        return [(str(a), str(b), p.type) for a, b, p in self.sent]

    def forget(self) -> None:
        self.sent.clear()
        self.done.clear()


def route(prefix: str, interface: str, gateway: IPv4Address | None = None) -> Route:
    return Route(IPv4Network(prefix), interface, gateway)
