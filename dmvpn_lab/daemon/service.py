"""The agent at work: one asyncio loop, one `match` over the core's actions.

Everything is a callback of the loop that runs to its end: a packet, an address event, a deadline.
Nothing in between waits, so what the core decided is carried out before the next thing happens.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from functools import partial
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.daemon import views
from dmvpn_lab.daemon.alarm import Alarm
from dmvpn_lab.daemon.config import AgentConfig
from dmvpn_lab.daemon.control import Control
from dmvpn_lab.daemon.journal import Journal
from dmvpn_lab.daemon.kernel_neighbours import KernelNeighbours
from dmvpn_lab.daemon.neighbours import NeighbourQueue
from dmvpn_lab.daemon.phase_3 import Phase3
from dmvpn_lab.daemon.port import Port, TunnelError
from dmvpn_lab.daemon.protection import Protection
from dmvpn_lab.daemon.protocols import Protocols
from dmvpn_lab.ipsec.actions import PeerLost, PeerSecured
from dmvpn_lab.linux.netlink import Netlink
from dmvpn_lab.linux.route_watch import RouteWatch
from dmvpn_lab.linux.source_watch import Changes, SourceWatch
from dmvpn_lab.nhrp.actions import (
    Action,
    ChangeMulticastPeers,
    FindRoute,
    InstallNeighbour,
    InstallShortcut,
    Notify,
    Protect,
    Registered,
    RemoveNeighbour,
    RemoveShortcut,
    SendPacket,
)
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.config import TunnelConfig

ROUTE_WAIT_S = 1.0
"""A new source address waits so long at most for a route to the servers."""
RETRY_S = 1.0
"""After the kernel refused a tunnel."""


class Service:
    """Carries out what the core decides."""

    def __init__(self, config: AgentConfig, netlink: Netlink, log: logging.Logger) -> None:
        self._config = config
        self._netlink, self._log = netlink, log
        self._agent = Agent(config.tunnels, random.SystemRandom())
        self._control = Control(self._query)
        self._ports: dict[str, Port] = {}
        self._neighbours = NeighbourQueue(netlink)
        self._journal = Journal(config.state)
        self._waiting: dict[str, IPv4Address] = {}
        """Tunnels whose new source address waits for a route."""
        self._route_watch: RouteWatch | None = None
        self._kernel_neighbours: KernelNeighbours | None = None
        self._phase_3 = Phase3(netlink, config.tunnels, log)
        told = (self._control.publish, self._peer_changed, log)
        self._protection = None if config.ipsec is None else Protection(config.ipsec, *told)
        self._protected: dict[str, Protect] = {}
        """Tunnel -> the peers that it must have an SA with."""
        self._failure: BaseException | None = None
        self._protocols: Protocols | None = None

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Kernel state stays, for an agent that takes over.

        Raises HostError when it cannot begin, and whatever went wrong in a callback."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._started = self._loop.time()
        self._alarm = Alarm(self._loop, self._agent.deadline, self._tick)
        self._loop.set_exception_handler(self._broken)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop.set)
        self._sources = SourceWatch(self._netlink, {each.source for each in self._config.tunnels})
        self._loop.add_reader(self._sources.fileno(), self._sources_changed)
        heard = (self._netlink, self._agent, self._ports, self._act)
        self._kernel_neighbours = KernelNeighbours(self._loop, *heard)
        if self._phase_3.log_socket is not None:
            self._loop.add_reader(self._phase_3.log_socket.fileno(), self._forwarded)
        self._phase_3.follow(self._loop, self._parents_changed)
        await self._control.open(self._config.control)
        if self._protection is not None:
            self._protection.open(self._loop)
        try:
            self._perform(self._agent.restore(self._journal.open(), self._started))
            for each in self._config.tunnels:
                self._open(each)
            told = (self._loop, self._control.publish, partial(views.heard_by, self._agent), self._log)
            self._protocols = Protocols(self._config, self._netlink, *told)
            self._control.publish("agent-ready", {"tunnels": sorted(self._ports)})  # all have been tried
            await self._stop.wait()
            self._carry_out(self._agent.shutdown(self._loop.time()))
        finally:
            self._close()
        if self._failure is not None:
            raise self._failure

    # --- tunnels ----------------------------------------------------------------------------------

    def _open(self, config: TunnelConfig) -> None:
        """Make a tunnel's link and sockets and tell the core its source, if there is one."""
        if config.name in self._ports:
            return
        try:
            port = Port(self._netlink, config)
        except TunnelError as error:
            self._fail(config, error)
            return
        self._ports[config.name] = port
        self._loop.add_reader(port.nhrp.fileno(), self._receive, port)
        if port.tap is not None:
            self._loop.add_reader(port.tap.fileno(), port.tap.pump)
        if port.up:
            self._take_over(port)
        present = self._sources.present[config.source]
        if present is not None:
            known = self._agent.tunnels[config.name].nbma
            self._source(port, present)
            if known == present and self._ports.get(config.name) is port:  # the core did not miss it
                self._control.publish("tunnel-up", {"interface": config.name, "nbma": str(present)})
        self._alarm.set()

    def _fail(self, config: TunnelConfig, error: TunnelError) -> None:
        """Give a tunnel up for a while."""
        self._log.error("%s", error)
        self._control.publish("tunnel-down", {"interface": config.name, "reason": str(error)})
        self._shut(config.name)
        self._loop.call_later(RETRY_S, self._open, config)

    def _shut(self, name: str) -> None:
        port = self._ports.pop(name, None)
        self._waiting.pop(name, None)
        if port is not None:
            self._loop.remove_reader(port.nhrp.fileno())
            if port.tap is not None:
                self._loop.remove_reader(port.tap.fileno())
            port.close()

    def _restore(self, port: Port) -> None:
        """Give a link that was new or down what the core thinks that it has."""
        name = port.config.name
        for action in self._agent.neighbours(name):
            self._neighbours.put(port, action)
        for shortcut in self._agent.shortcuts(name):
            self._phase_3.change(port, shortcut)
        port.let_broadcast_out()
        if port.tap is not None:
            peers = (e["nbma"] for e in self._agent.multicast() if e["interface"] == name)
            port.set_peers(frozenset(map(IPv4Address, peers)))
        self._flush()

    def _take_over(self, port: Port) -> None:
        """An earlier agent left this link: what it knew stays, anything else of it goes.

        Without its state file nobody can tell, so neighbours stay for one holding time.
        """
        self._restore(port)
        if self._journal.found:
            port.inherited.difference_update(port.mapped)
            self._drop_inherited(port)
        elif port.inherited:
            self._loop.call_later(port.config.holding_time_s, self._drop_inherited, port)

    def _drop_inherited(self, port: Port) -> None:
        """Remove what an earlier agent installed and nobody has registered again."""
        if self._ports.get(port.config.name) is port:
            for protocol in tuple(port.inherited):
                self._neighbours.put(port, RemoveNeighbour(port.config.name, protocol))
            port.inherited.clear()
            port.set_peers()
            self._flush()

    # --- source addresses ---------------------------------------------------------------------------

    def _sources_changed(self) -> None:
        changes: Changes = self._sources.read()
        for name, port in tuple(self._ports.items()):
            if port.index in changes.gone:
                self._fail(port.config, TunnelError(f"{name}: the interface was removed"))
                self._open(port.config)
            elif port.index in changes.up:
                self._restore(port)
        for port in tuple(self._ports.values()):
            if port.config.source in changes.addresses:
                self._source(port, changes.addresses[port.config.source])
        self._alarm.set()

    def _source(self, port: Port, nbma: IPv4Address | None) -> None:
        """A tunnel's source address is another one now, or has gone."""
        name = port.config.name
        self._waiting.pop(name, None)
        if nbma is None:
            self._use(name, None)
            return
        try:
            port.retarget(nbma)
            usable = port.servers_reachable(nbma)
        except TunnelError as error:
            self._fail(port.config, error)
            return
        self._restore(port)
        if usable:
            self._use(name, nbma)
            return
        # A DHCP client adds the address first and the default route a moment later. A request
        # sent in between is lost, and the next one comes after the retransmission time.
        self._waiting[name] = nbma
        self._loop.call_later(ROUTE_WAIT_S, self._stop_waiting, name, nbma)
        if self._route_watch is None:
            self._route_watch = RouteWatch()
            self._loop.add_reader(self._route_watch.fileno(), self._routes_changed)
        self._routes_changed()  # it may have come while the watch was opened

    def _routes_changed(self) -> None:
        assert self._route_watch is not None
        self._route_watch.drain()
        for name, nbma in tuple(self._waiting.items()):
            if self._ports[name].servers_reachable(nbma):
                self._stop_waiting(name, nbma)

    def _stop_waiting(self, name: str, nbma: IPv4Address) -> None:
        """Use the address, be there a route or not."""
        if self._waiting.get(name) != nbma:
            return
        del self._waiting[name]
        if not self._waiting and self._route_watch is not None:
            self._loop.remove_reader(self._route_watch.fileno())
            self._route_watch.close()
            self._route_watch = None
        self._use(name, nbma)
        self._alarm.set()

    def _use(self, name: str, nbma: IPv4Address | None) -> None:
        """Tell the core its tunnel's source, and IPsec its local address."""
        self._carry_out(self._agent.source_changed(name, nbma, self._loop.time()))
        if self._protection is not None and self._agent.tunnels[name].config.protected:
            self._protection.source_changed(nbma)
            for each in self._protection.secured():  # by an earlier agent, or for another tunnel
                self._peer_changed(each)

    def _peer_changed(self, change: PeerSecured | PeerLost) -> None:
        """There is an SA with a peer, or there is none any more."""
        match change:
            case PeerSecured(local, peer, identity, fresh):
                self._carry_out(self._agent.secured(local, peer, identity, self._loop.time(), fresh=fresh))
            case PeerLost(local, peer):
                self._carry_out(self._agent.unsecured(local, peer))
        self._alarm.set()

    # --- packets, time, actions -----------------------------------------------------------------------

    def _receive(self, port: Port) -> None:
        """All packets that are there, together: one write to the state file, one call for neighbours."""
        self._act(self._agent.receive_all(port.config.name, port.nhrp.receive(), self._loop.time()))

    def _forwarded(self) -> None:
        """The kernel forwarded packets from tunnels to tunnels."""
        assert self._phase_3.log_socket is not None
        names, now = {port.index: name for name, port in self._ports.items()}, self._loop.time()
        for each in self._phase_3.log_socket.read():
            if each.index in names and each.out in names:
                way = names[each.index], names[each.out]
                self._carry_out(self._agent.forwarded(*way, each.nbma, each.data, now))
        self._alarm.set()

    def _parents_changed(self) -> None:
        """Routes changed, perhaps such as shortcuts shorten."""
        self._act(self._agent.routes_changed())

    def _tick(self) -> None:
        self._carry_out(self._agent.tick(self._loop.time()))

    def _act(self, actions: list[Action]) -> None:
        """Carry out what may have moved the deadline."""
        self._carry_out(actions)
        self._alarm.set()

    def _carry_out(self, actions: list[Action]) -> None:
        self._perform(actions)
        self._flush()

    def _perform(self, actions: list[Action]) -> None:
        """The one place where the core's words become deeds. Neighbours and packets are collected first."""
        for action in actions:
            if self._neighbours.urgent and not isinstance(action, InstallNeighbour | RemoveNeighbour):
                self._flush()
            match action:
                case SendPacket():
                    if action.interface in self._ports:
                        self._ports[action.interface].put((action.data,), (action.nbma,))
                case Registered():
                    self._control.publish_all("peer-registered", action.facts)
                    if action.interface in self._ports:
                        self._ports[action.interface].put(action.replies, action.nbmas)
                case Notify():
                    self._control.publish(action.name, action.facts)
                    if action.name == "registered" and self._protocols is not None:
                        self._protocols.peers_changed(action.facts["interface"])
                case InstallNeighbour() | RemoveNeighbour():
                    self._neighbours.put(self._ports.get(action.interface), action)
                case ChangeMulticastPeers(interface, added, removed):
                    port = self._ports.get(interface)
                    if port is not None:
                        port.change_peers(added, removed)
                    if added and self._protocols is not None:
                        self._protocols.peers_changed(interface)
                case Protect(interface):
                    self._send()  # by the SAs of before
                    self._protected[interface] = action
                    if self._protection is not None:
                        self._protection.peers_changed(self._protected.values())
                case FindRoute(token):
                    found = self._agent.found(token, self._phase_3.find(action), self._loop.time())
                    self._perform(found)
                case InstallShortcut(interface) | RemoveShortcut(interface):
                    self._phase_3.change(self._ports.get(interface), action)
        self._send()

    def _send(self) -> None:
        """What changed is written before anybody hears of it."""
        self._journal.write(self._agent.take_changes())
        for port in self._ports.values():
            port.send()

    def _flush(self) -> None:
        """Hand the collected neighbours to the kernel, and its verdicts to the core."""
        verdicts: list[tuple[int, bool]] = []
        for action, error in self._neighbours.flush():
            if error is not None:
                self._log.error("%s: the kernel refused neighbour %s: %s",
                                action.interface, action.protocol, error)  # fmt: skip
            if isinstance(action, InstallNeighbour) and action.token is not None:
                verdicts.append((action.token, error is None))
        if verdicts:
            self._perform(self._agent.all_installed(verdicts, self._loop.time()))

    # --- what to show -----------------------------------------------------------------------------

    def _query(self, name: str) -> Any:
        """The answer to one of `answers.QUERIES` or `answers.COMMANDS`."""
        now = self._loop.time()
        if name == "odr" or name.startswith("eigrp-"):
            return None if self._protocols is None else self._protocols.query(name)
        match name:
            case "nhrp":
                return self._agent.nhrp(now)
            case "nhs":
                return self._agent.nhs(now)
            case "multicast":
                return views.multicast(self._agent, self._ports)
            case "ipsec":
                return [] if self._protection is None else self._protection.view()
            case "counters":
                return views.counters(self._agent, self._ports, state_failed=self._journal.failed)
            case "leave":
                self._act(self._agent.leave(now))
                return None
            case "clear" | "expire":
                self._act(self._agent.clear(now) if name == "clear" else self._agent.expire(now))
                return None
            case _:
                return views.status(self._agent, self._ports, self._config.tunnels, now - self._started)

    # --- the end --------------------------------------------------------------------------------------

    def _broken(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback raised: end, so that the first process starts a sound agent."""
        self._failure = context.get("exception") or RuntimeError(context["message"])
        self._stop.set()

    def _close(self) -> None:
        self._alarm.cancel()
        if self._protocols is not None:
            self._protocols.close()
        for name in tuple(self._ports):
            self._shut(name)
        self._sources.close()
        if self._protection is not None:
            self._protection.close()
        for watch in (self._route_watch, self._kernel_neighbours):
            if watch is not None:
                watch.close()
        self._control.close()
        self._journal.close()
        self._phase_3.close()
