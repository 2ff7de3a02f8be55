"""ODR of one router: packets and times in, actions out. It never waits, sends or reads a clock.

A spoke tells its hubs the prefixes that are connected to it and takes its default route from them; a
hub takes prefixes and tells that it is the default gateway. So a spoke's routing table has one route.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.odr.actions import Action, InstallRoute, Notify, RemoveRoute, Send
from dmvpn_lab.odr.cdp import Cdp, decode, encode
from dmvpn_lab.odr.config import OdrConfig, TunnelConfig

DEFAULT = IPv4Network("0.0.0.0/0")
EXPEDITED_S = 0.1
"""The shortest between two packets on a tunnel, however many newcomers there are."""


@dataclass(slots=True)
class Neighbour:
    """A router that was heard."""

    device: str
    expires: float
    prefixes: tuple[IPv4Network, ...]
    """What is reached through it: of a hub, everything."""


Peer = tuple[str, IPv4Address]
"""(interface, tunnel address)."""


class OdrSpeaker:
    """CDP on tunnels, at work."""

    def __init__(self, config: OdrConfig) -> None:
        self.counters: Counter[str] = Counter()
        self.neighbours: dict[Peer, Neighbour] = {}
        self._config = config
        self._tunnels = {each.name: each for each in config.tunnels}
        self._up: set[str] = set()
        self._due: dict[str, float] = {}
        self._sent: dict[str, float] = {}
        self._installed: dict[IPv4Network, tuple[Peer, ...]] = {}

    # --- interfaces -----------------------------------------------------------------------------------

    def interface_up(self, name: str, now: float) -> list[Action]:
        """A tunnel or a LAN carries packets."""
        self._up.add(name)
        if name in self._tunnels:
            return self._send(self._tunnels[name], now)
        return self._tell_all(now)

    def interface_down(self, name: str, now: float) -> list[Action]:
        """It does not any more."""
        self._up.discard(name)
        self._due.pop(name, None)
        actions: list[Action] = []
        for peer in [peer for peer in self.neighbours if peer[0] == name]:
            actions += self._lose(peer, "interface down")
        actions += self._refresh()
        return actions if name in self._tunnels else [*actions, *self._tell_all(now)]

    def peers_changed(self, name: str, now: float) -> list[Action]:
        """Somebody is new among those who get a tunnel's multicast."""
        if name in self._up and name in self._tunnels:
            self._expedite(name, now)
        return []

    # --- time and packets -------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When `tick` is due; None when nothing is."""
        times = [*self._due.values(), *(each.expires for each in self.neighbours.values())]
        return min(times, default=None)

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        actions: list[Action] = []
        for name in [name for name, at in self._due.items() if at <= now]:
            actions += self._send(self._tunnels[name], now)
        for peer in [peer for peer, each in self.neighbours.items() if each.expires <= now]:
            actions += self._lose(peer, "holding time expired")
        return actions + self._refresh()

    def receive(self, name: str, data: bytes, now: float) -> list[Action]:
        """A CDP packet came out of a tunnel."""
        tunnel = self._tunnels.get(name)
        if tunnel is None or name not in self._up:
            return []
        try:
            said = decode(data)
        except DecodeError:
            self.counters["malformed"] += 1
            return []
        self.counters["received"] += 1
        if said.address is None or said.address not in tunnel.address.network:
            self.counters["not-on-common-subnet"] += 1
            return []
        if said.address == tunnel.address.ip:
            return []
        return self._heard(tunnel, (name, said.address), said, now)

    def _heard(self, tunnel: TunnelConfig, peer: Peer, said: Cdp, now: float) -> list[Action]:
        if said.hold_s == 0:
            return [*self._lose(peer, "the peer said goodbye"), *self._refresh()]
        prefixes: tuple[IPv4Network, ...] = ()
        if tunnel.hub:
            prefixes = tuple(p for p in said.prefixes if p.prefixlen and not self._ours(p))
        elif said.gateway == peer[1]:
            prefixes = (DEFAULT,)
        actions: list[Action] = []
        if peer not in self.neighbours:
            facts = {"interface": peer[0], "neighbour": str(peer[1]), "device": said.device}
            actions.append(Notify("odr-neighbour-up", facts))
            self._expedite(tunnel.name, now)
        self.neighbours[peer] = Neighbour(said.device, now + said.hold_s, prefixes)
        return actions + self._refresh()

    def shutdown(self) -> list[Action]:
        """Nothing to say: neighbours keep the routes for the holding time, and an agent may come back."""
        return []

    # --- what follows from that ---------------------------------------------------------------------------

    def _ours(self, prefix: IPv4Network) -> bool:
        own = [address for _, address in self._config.lans]
        return any(prefix == each.network for each in (*own, *(t.address for t in self._config.tunnels)))

    def _lose(self, peer: Peer, reason: str) -> list[Action]:
        if self.neighbours.pop(peer, None) is None:
            return []
        facts = {"interface": peer[0], "neighbour": str(peer[1]), "reason": reason}
        return [Notify("odr-neighbour-down", facts)]

    def _refresh(self) -> list[Action]:
        """Make the routes those that the neighbours tell."""
        wanted: dict[IPv4Network, tuple[Peer, ...]] = {}
        for peer, neighbour in sorted(self.neighbours.items()):
            for prefix in neighbour.prefixes:
                wanted[prefix] = (*wanted.get(prefix, ()), peer)
        actions: list[Action] = [RemoveRoute(p) for p in self._installed if p not in wanted]
        actions += [InstallRoute(p, hops) for p, hops in wanted.items() if self._installed.get(p) != hops]
        self._installed = wanted
        return actions

    def _expedite(self, name: str, now: float) -> None:
        soon = max(now, self._sent.get(name, float("-inf")) + EXPEDITED_S)
        self._due[name] = min(self._due.get(name, soon), soon)

    def _tell_all(self, now: float) -> list[Action]:
        """What is connected has changed."""
        for name in self._up & self._tunnels.keys():
            self._expedite(name, now)
        return []

    def _send(self, tunnel: TunnelConfig, now: float) -> list[Action]:
        self._sent[tunnel.name] = now
        self._due[tunnel.name] = now + tunnel.hello_s
        self.counters["sent"] += 1
        lans = () if tunnel.hub else tuple(a.network for name, a in self._config.lans if name in self._up)
        gateway = tunnel.address.ip if tunnel.hub else None
        said = Cdp(tunnel.hold_s, self._config.device, tunnel.address.ip, tunnel.name, lans, gateway)
        return [Send(tunnel.name, encode(said))]
