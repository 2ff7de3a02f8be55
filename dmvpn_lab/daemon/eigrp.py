"""EIGRP at work in the agent: sockets, routes and time around the core of `eigrp/`.

Routes stay in the kernel when the agent ends. The next one finds them, tells its neighbours that
it restarts, and takes away what nobody has said again after the longest hold time.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

from dmvpn_lab.daemon.alarm import Alarm
from dmvpn_lab.daemon.routes import Routes
from dmvpn_lab.eigrp import views
from dmvpn_lab.eigrp.actions import Action, InstallRoute, NextHop, Notify, RemoveRoute, Send
from dmvpn_lab.eigrp.config import ProcessConfig
from dmvpn_lab.eigrp.speaker import Speaker
from dmvpn_lab.linux import rib
from dmvpn_lab.linux.eigrp_socket import EigrpSocket
from dmvpn_lab.linux.interface_watch import InterfaceWatch
from dmvpn_lab.linux.netlink import Netlink

RETRY_S = 1.0
"""After the kernel refused a socket on an interface that seemed to be there."""
SETTLE_S = 5.0
"""After the longest hold time: until then the core waits for slow neighbours."""
Publish = Callable[[str, dict[str, Any]], None]


class Eigrp:
    """Carries out what the speaker decides."""

    def __init__(
        self,
        config: ProcessConfig,
        netlink: Netlink,
        loop: asyncio.AbstractEventLoop,
        publish: Publish,
        log: logging.Logger,
    ) -> None:
        self._config = config
        self._netlink = netlink
        self._loop = loop
        self._publish = publish
        self._log = log
        addresses = {each.name: each.address for each in config.interfaces}
        counters: Counter[str] = Counter()
        self._routes = Routes(netlink, rib.EIGRP, addresses, counters, log)
        self._speaker = Speaker(config, sequence=random.SystemRandom().getrandbits(16),
                                restarting=bool(self._routes.inherited), counters=counters,
                                offset_s=time.time() - loop.time())  # fmt: skip
        self._sockets: dict[str, EigrpSocket] = {}
        self._indexes: dict[str, int] = {}
        self._alarm = Alarm(loop, self._speaker.deadline, self._tick)
        self._watch = InterfaceWatch(netlink, addresses)
        loop.add_reader(self._watch.fileno(), self._interfaces_changed)
        hold_s = max((each.hold_s for each in config.interfaces), default=0)
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

    def query(self, name: str) -> Any:
        """The answer to one of the EIGRP queries."""
        match name:
            case "eigrp-neighbors":
                return views.neighbours(self._speaker, self._loop.time())
            case "eigrp-interfaces":
                return views.interfaces(self._speaker)
            case "eigrp-topology":
                return views.topology(self._speaker)
            case _:
                return views.traffic(self._speaker)

    def peers_changed(self, name: str) -> None:
        """Somebody new gets a tunnel's multicast, or we are heard again."""
        self._carry_out(self._speaker.peers_changed(name, self._loop.time()))
        self._alarm.set()

    # --- interfaces -----------------------------------------------------------------------------------

    def _interfaces_changed(self) -> None:
        self._refresh(self._watch.read())

    def _refresh(self, interrupted: set[str]) -> None:
        """Open and shut what came and went."""
        usable = self._watch.usable()
        for name, index in tuple(self._indexes.items()):
            if name in interrupted or usable.get(name) != index:
                self._shut(name)
                del self._indexes[name]
                self._carry_out(self._speaker.interface_down(name, self._loop.time()))
        for config in self._config.interfaces:
            if config.name not in usable or config.name in self._indexes:
                continue
            index = usable[config.name]
            try:
                if not config.passive:
                    self._open(config.name, EigrpSocket(config.name, index, config.address.ip))
            except OSError as error:  # gone again; or the kernel is short of something
                self._log.error("%s: no EIGRP: %s", config.name, error)
                self._loop.call_later(RETRY_S, self._refresh, set())
                continue
            self._indexes[config.name] = index
            self._carry_out(self._speaker.interface_up(config.name, self._loop.time()))
        self._alarm.set()

    def _open(self, name: str, sock: EigrpSocket) -> None:
        self._sockets[name] = sock
        self._loop.add_reader(sock.fileno(), self._receive, name)

    def _shut(self, name: str) -> None:
        sock = self._sockets.pop(name, None)
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            sock.close()

    # --- packets, time, actions -----------------------------------------------------------------------

    def _receive(self, name: str) -> None:
        now = self._loop.time()
        for data, source in self._sockets[name].receive():
            self._carry_out(self._speaker.receive(name, data, source, now))
        self._alarm.set()

    def _tick(self) -> None:
        self._carry_out(self._speaker.tick(self._loop.time()))

    def _carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send():
                    self._send(action)
                case InstallRoute(prefix, hops):
                    self._install(prefix, hops)
                case RemoveRoute(prefix):
                    self._routes.remove(prefix)
                case Notify(name, facts):
                    self._publish(name, facts)

    def _send(self, send: Send) -> None:
        """Send; what the kernel does not take now is counted, the core sends again."""
        sock = self._sockets.get(send.interface)
        try:
            if sock is not None:
                sock.send(send.data, send.destination)
        except OSError:
            self._speaker.counters["send-failed"] += 1

    def _install(self, prefix: IPv4Network, hops: tuple[NextHop, ...]) -> None:
        ways = [(self._indexes[hop.interface], hop.gateway) for hop in hops if hop.interface in self._indexes]
        if ways or not hops:
            self._routes.put(prefix, ways)
