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
from dmvpn_lab.daemon.interfaces import Interfaces
from dmvpn_lab.daemon.routes import Routes
from dmvpn_lab.eigrp import views
from dmvpn_lab.eigrp.actions import Action, InstallRoute, NextHop, Notify, RemoveRoute, Send
from dmvpn_lab.eigrp.config import ProcessConfig
from dmvpn_lab.eigrp.speaker import Speaker
from dmvpn_lab.linux import rib
from dmvpn_lab.linux.eigrp_socket import EigrpSocket
from dmvpn_lab.linux.interface_watch import InterfaceWatch
from dmvpn_lab.linux.netlink import Netlink

SETTLE_S = 5.0
"""After the longest hold time: until then the core waits for slow neighbours."""
Publish = Callable[[str, dict[str, Any]], None]


class Eigrp:
    """Carries out what the speaker decides."""

    name = "EIGRP"

    def __init__(
        self,
        config: ProcessConfig,
        netlink: Netlink,
        loop: asyncio.AbstractEventLoop,
        publish: Publish,
        log: logging.Logger,
    ) -> None:
        self._configs = {each.name: each for each in config.interfaces}
        self._loop = loop
        self._publish = publish
        addresses = {each.name: each.address for each in config.interfaces}
        counters: Counter[str] = Counter()
        self._routes = Routes(netlink, rib.EIGRP, addresses, counters, log)
        self._speaker = Speaker(config, sequence=random.SystemRandom().getrandbits(16),
                                restarting=bool(self._routes.inherited), counters=counters,
                                offset_s=time.time() - loop.time())  # fmt: skip
        self._alarm = Alarm(loop, self._speaker.deadline, self._tick)
        self._interfaces = Interfaces(InterfaceWatch(netlink, addresses), loop, self, log)
        hold_s = max((each.hold_s for each in config.interfaces), default=0)
        self._settling = loop.call_later(hold_s + SETTLE_S, self._routes.settle)
        self._interfaces.begin()

    def close(self) -> None:
        """Stop; routes stay in the kernel."""
        self._settling.cancel()
        self._alarm.cancel()
        self._interfaces.close()

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

    def open(self, name: str, index: int) -> EigrpSocket | None:
        """On a passive interface nothing is spoken. Raises OSError."""
        config = self._configs[name]
        return None if config.passive else EigrpSocket(name, index, config.address.ip)

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
        for data, source in self._interfaces.sockets[name].receive():
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
        sock = self._interfaces.sockets.get(send.interface)
        try:
            if sock is not None:
                sock.send(send.data, send.destination)
        except OSError:
            self._speaker.counters["send-failed"] += 1

    def _install(self, prefix: IPv4Network, hops: tuple[NextHop, ...]) -> None:
        indexes = self._interfaces.indexes
        ways = [(indexes[hop.interface], hop.gateway) for hop in hops if hop.interface in indexes]
        if ways or not hops:
            self._routes.put(prefix, ways)
