"""ODR at work in the agent: sockets, routes and time around the core of `odr/`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.answers import OdrNeighbour, OdrStatus
from dmvpn_lab.daemon.alarm import Alarm
from dmvpn_lab.daemon.interfaces import Interfaces
from dmvpn_lab.daemon.routes import Routes
from dmvpn_lab.linux import rib
from dmvpn_lab.linux.cdp_socket import CdpSocket
from dmvpn_lab.linux.interface_watch import InterfaceWatch
from dmvpn_lab.linux.netlink import Netlink
from dmvpn_lab.odr.actions import Action, InstallRoute, Notify, RemoveRoute, Send
from dmvpn_lab.odr.config import OdrConfig
from dmvpn_lab.odr.speaker import OdrSpeaker

SETTLE_S = 5.0
"""After the longest hold time: until then a route of an earlier agent may be said again."""
Publish = Callable[[str, dict[str, Any]], None]
Peers = Callable[[str], Iterable[IPv4Address]]
"""Tunnel -> the NBMA addresses that get its multicast."""


class Odr:
    """Carries out what the speaker decides."""

    name = "CDP"

    def __init__(self, config: OdrConfig, netlink: Netlink, loop: asyncio.AbstractEventLoop,
                 publish: Publish, peers: Peers, log: logging.Logger) -> None:  # fmt: skip
        self._loop = loop
        self._publish = publish
        self._peers = peers
        self._speaker = OdrSpeaker(config)
        addresses = {each.name: each.address for each in config.tunnels} | dict(config.lans)
        self._tunnels = {each.name for each in config.tunnels}
        self._routes = Routes(netlink, rib.ODR, addresses, self._speaker.counters, log)
        self._alarm = Alarm(loop, self._speaker.deadline, self._tick)
        self._interfaces = Interfaces(InterfaceWatch(netlink, addresses), loop, self, log)
        hold_s = max(each.hold_s for each in config.tunnels)
        self._settling = loop.call_later(hold_s + SETTLE_S, self._routes.settle)
        self._interfaces.begin()

    def close(self) -> None:
        """Stop; routes stay in the kernel."""
        self._settling.cancel()
        self._alarm.cancel()
        self._interfaces.close()

    def peers_changed(self, name: str) -> None:
        """Somebody new gets a tunnel's multicast."""
        self._carry_out(self._speaker.peers_changed(name, self._loop.time()))
        self._alarm.set()

    def status(self) -> OdrStatus:
        """Whom it hears, and what it counts."""
        now = self._loop.time()
        heard = [
            OdrNeighbour(interface=name, address=str(address), device=each.device,
                         hold_s=round(max(0.0, each.expires - now), 3),
                         prefixes=[str(prefix) for prefix in each.prefixes])
            for (name, address), each in sorted(self._speaker.neighbours.items())
        ]  # fmt: skip
        return OdrStatus(neighbours=heard, counters=dict(sorted(self._speaker.counters.items())))

    # --- interfaces -----------------------------------------------------------------------------------

    def open(self, name: str, index: int) -> CdpSocket | None:
        """CDP is spoken on tunnels; a LAN only has to be there. Raises OSError."""
        return CdpSocket(name) if name in self._tunnels else None

    def came(self, name: str) -> None:
        """An interface carries packets."""
        self._carry_out(self._speaker.interface_up(name, self._loop.time()))

    def went(self, name: str) -> None:
        """An interface does not any more."""
        self._carry_out(self._speaker.interface_down(name, self._loop.time()))

    def settled(self) -> None:
        """All of that has been told."""
        self._alarm.set()

    # --- packets, time, actions -----------------------------------------------------------------------

    def receive(self, name: str) -> None:
        """There are packets."""
        now = self._loop.time()
        for data in self._interfaces.sockets[name].receive():
            self._carry_out(self._speaker.receive(name, data, now))
        self._alarm.set()

    def _tick(self) -> None:
        self._carry_out(self._speaker.tick(self._loop.time()))

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(name, data):
                    sock = self._interfaces.sockets.get(name)
                    if sock is not None:
                        self._speaker.counters["send-failed"] += sock.send(data, self._peers(name))
                case InstallRoute(prefix, hops):
                    indexes = self._interfaces.indexes
                    ways = [(indexes[i], gateway) for i, gateway in hops if i in indexes]
                    if ways:
                        self._routes.put(prefix, ways)
                case RemoveRoute(prefix):
                    self._routes.remove(prefix)
                case Notify(name, facts):
                    self._publish(name, facts)
