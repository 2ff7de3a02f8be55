"""ODR at work in the agent: sockets, routes and time around the core of `odr/`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.answers import OdrNeighbour, OdrStatus
from dmvpn_lab.daemon.alarm import Alarm
from dmvpn_lab.daemon.routes import Routes
from dmvpn_lab.linux import rib
from dmvpn_lab.linux.cdp_socket import CdpSocket
from dmvpn_lab.linux.interface_watch import InterfaceWatch
from dmvpn_lab.linux.netlink import Netlink
from dmvpn_lab.odr.actions import Action, InstallRoute, Notify, RemoveRoute, Send
from dmvpn_lab.odr.config import OdrConfig
from dmvpn_lab.odr.speaker import OdrSpeaker

RETRY_S = 1.0
"""After the kernel refused a socket on an interface that seemed to be there."""
SETTLE_S = 5.0
"""After the longest hold time: until then a route of an earlier agent may be said again."""
Publish = Callable[[str, dict[str, Any]], None]
Peers = Callable[[str], Iterable[IPv4Address]]
"""Tunnel -> the NBMA addresses that get its multicast."""


class Odr:
    """Carries out what the speaker decides."""

    def __init__(self, config: OdrConfig, netlink: Netlink, loop: asyncio.AbstractEventLoop,
                 publish: Publish, peers: Peers, log: logging.Logger) -> None:  # fmt: skip
        self._loop = loop
        self._publish = publish
        self._peers = peers
        self._log = log
        self._speaker = OdrSpeaker(config)
        addresses = {each.name: each.address for each in config.tunnels} | dict(config.lans)
        self._tunnels = {each.name for each in config.tunnels}
        self._routes = Routes(netlink, rib.ODR, addresses, self._speaker.counters, log)
        self._alarm = Alarm(loop, self._speaker.deadline, self._tick)
        self._sockets: dict[str, CdpSocket] = {}
        self._indexes: dict[str, int] = {}
        self._watch = InterfaceWatch(netlink, addresses)
        loop.add_reader(self._watch.fileno(), self._interfaces_changed)
        hold_s = max(each.hold_s for each in config.tunnels)
        self._settling = loop.call_later(hold_s + SETTLE_S, self._routes.settle)
        self._refresh(set())

    def close(self) -> None:
        """Stop; routes stay in the kernel."""
        self._settling.cancel()
        self._alarm.cancel()
        self._loop.remove_reader(self._watch.fileno())
        self._watch.close()
        for name in tuple(self._sockets):
            self._shut(name)

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

    def _interfaces_changed(self) -> None:
        self._refresh(self._watch.read())

    def _refresh(self, interrupted: set[str]) -> None:
        """Open and shut what came and went."""
        usable, now = self._watch.usable(), self._loop.time()
        for name, index in tuple(self._indexes.items()):
            if name in interrupted or usable.get(name) != index:
                del self._indexes[name]
                self._shut(name)
                self._carry_out(self._speaker.interface_down(name, now))
        for name, index in usable.items():
            if name not in self._indexes and self._open(name):
                self._indexes[name] = index
                self._carry_out(self._speaker.interface_up(name, now))
        self._alarm.set()

    def _open(self, name: str) -> bool:
        if name not in self._tunnels:
            return True
        try:
            self._sockets[name] = CdpSocket(name)
        except OSError as error:  # gone again; or the kernel is short of something
            self._log.error("%s: no CDP: %s", name, error)
            self._loop.call_later(RETRY_S, self._refresh, set())
            return False
        self._loop.add_reader(self._sockets[name].fileno(), self._receive, name)
        return True

    def _shut(self, name: str) -> None:
        sock = self._sockets.pop(name, None)
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            sock.close()

    # --- packets, time, actions -----------------------------------------------------------------------

    def _receive(self, name: str) -> None:
        now = self._loop.time()
        for data in self._sockets[name].receive():
            self._carry_out(self._speaker.receive(name, data, now))
        self._alarm.set()

    def _tick(self) -> None:
        self._carry_out(self._speaker.tick(self._loop.time()))

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(name, data):
                    if name in self._sockets:
                        refused = self._sockets[name].send(data, self._peers(name))
                        self._speaker.counters["send-failed"] += refused
                case InstallRoute(prefix, hops):
                    ways = [(self._indexes[i], gateway) for i, gateway in hops if i in self._indexes]
                    if ways:
                        self._routes.put(prefix, ways)
                case RemoveRoute(prefix):
                    self._routes.remove(prefix)
                case Notify(name, facts):
                    self._publish(name, facts)
