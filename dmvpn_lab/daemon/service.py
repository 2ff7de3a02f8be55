"""The agent at work: one asyncio loop, one `match` over the core's actions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import time
from ipaddress import IPv4Address
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from dmvpn_lab import __version__
from dmvpn_lab.answers import Status, TunnelStatus
from dmvpn_lab.daemon.config import AgentConfig
from dmvpn_lab.daemon.control import Control
from dmvpn_lab.linux import addresses, gre, neighbour
from dmvpn_lab.linux.multicast import MulticastTap
from dmvpn_lab.linux.nhrp_socket import NhrpSocket
from dmvpn_lab.nhrp.actions import (
    Action,
    InstallNeighbour,
    Notify,
    RemoveNeighbour,
    SendPacket,
    SetMulticastPeers,
)
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.config import TunnelConfig

log = logging.getLogger("dmvpn-agent")


class Service:
    """Carries out what the core decides. All work is done by one task, in order."""

    def __init__(self, config: AgentConfig, netlink: AsyncIPRoute) -> None:
        self._config = config
        self._netlink = netlink
        self._agent = Agent(config.tunnels, random.SystemRandom())
        self._control = Control(self._query)
        self._started = time.monotonic()
        self._inbox: asyncio.Queue[tuple[str, bytes, IPv4Address | None]] = asyncio.Queue()
        self._indexes: dict[str, int] = {}
        self._sockets: dict[str, NhrpSocket] = {}
        self._taps: dict[str, MulticastTap] = {}
        self._book = addresses.AddressBook()
        self._woken = asyncio.Event()
        self._moved = False
        self._ending = False

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        server = await self._control.serve(self._config.control)
        async with server, asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            await self._work()
            watching.cancel()
            await self._carry_out(self._agent.shutdown(time.monotonic()))
        self._close()

    async def _watch(self) -> None:
        """Turn the kernel's address events into wake-ups."""
        async with AsyncIPRoute() as watcher:
            first = True
            async for _ in addresses.follow(watcher, self._book):
                self._moved = True
                self._woken.set()
                if first:
                    first = False
                    names = [tunnel.name for tunnel in self._config.tunnels]
                    self._control.publish("agent-ready", {"tunnels": names})

    async def _work(self) -> None:
        """The loop: wait for a packet, an address event or the core's deadline; carry out."""
        while not self._ending:
            await self._wait()
            self._woken.clear()
            if self._moved:
                self._moved = False
                await self._look_at_sources()
            while not self._inbox.empty():
                interface, data, nbma = self._inbox.get_nowait()
                await self._carry_out(self._agent.receive(interface, data, nbma, time.monotonic()))
            deadline = self._agent.deadline()
            if deadline is not None and deadline <= time.monotonic():
                await self._carry_out(self._agent.tick(time.monotonic()))

    async def _wait(self) -> None:
        deadline = self._agent.deadline()
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), timeout)

    async def _look_at_sources(self) -> None:
        """Tell the core each tunnel whose source address is not what it was."""
        for config in self._config.tunnels:
            nbma = self._book.current(config.source)
            if nbma == self._agent.tunnels[config.name].nbma:
                continue
            if nbma is not None and not await self._bring_up(config, nbma):
                continue
            await self._carry_out(self._agent.source_changed(config.name, nbma, time.monotonic()))

    async def _bring_up(self, config: TunnelConfig, nbma: IPv4Address) -> bool:
        """Make the tunnel or turn it to its new source; False when the kernel refused."""
        try:
            self._indexes[config.name] = await gre.ensure(self._netlink, config, nbma)
        except NetlinkError as error:
            log.error("%s: the kernel refused the tunnel: %s", config.name, error)
            return False
        if config.name not in self._sockets:
            point_to_point = config.mode == "point-to-point"
            self._sockets[config.name] = NhrpSocket(config.name, point_to_point=point_to_point)
            asyncio.get_running_loop().add_reader(
                self._sockets[config.name].fileno(), self._arrived, config.name
            )
            if not point_to_point:
                self._taps[config.name] = tap = MulticastTap(config.name)
                asyncio.get_running_loop().add_reader(tap.fileno(), tap.copy)
        return True

    def _arrived(self, interface: str) -> None:
        for data, nbma in self._sockets[interface].receive():
            self._inbox.put_nowait((interface, data, nbma))
        self._woken.set()

    async def _carry_out(self, actions: list[Action]) -> None:
        """One action after the other; an answered token brings more."""
        for action in actions:
            match action:
                case SendPacket(interface, nbma, data):
                    self._send(interface, nbma, data)
                case InstallNeighbour(interface, protocol, nbma, token):
                    ok = await self._install(interface, protocol, nbma)
                    if token is not None:
                        await self._carry_out(self._agent.installed(token, ok, time.monotonic()))
                case RemoveNeighbour(interface, protocol):
                    await self._remove(interface, protocol)
                case SetMulticastPeers(interface, peers):
                    if interface in self._taps:
                        self._taps[interface].peers = peers
                case Notify(name, facts):
                    self._control.publish(name, facts)

    def _send(self, interface: str, nbma: IPv4Address, data: bytes) -> None:
        try:
            self._sockets[interface].send(data, nbma)
        except OSError as error:
            # No route now; the core's retransmission timer tries again.
            log.warning("%s: could not send to %s: %s", interface, nbma, error.strerror)

    async def _install(self, interface: str, protocol: IPv4Address, nbma: IPv4Address) -> bool:
        try:
            await neighbour.install(self._netlink, self._indexes[interface], protocol, nbma)
        except NetlinkError as error:
            log.error("%s: the kernel refused neighbour %s: %s", interface, protocol, error)
            return False
        return True

    async def _remove(self, interface: str, protocol: IPv4Address) -> None:
        try:
            await neighbour.remove(self._netlink, self._indexes[interface], protocol)
        except NetlinkError as error:
            log.error("%s: could not remove neighbour %s: %s", interface, protocol, error)

    def _query(self, name: str) -> Any:
        """The answer to one of `answers.QUERIES`."""
        now = time.monotonic()
        match name:
            case "nhrp":
                return self._agent.nhrp(now)
            case "nhs":
                return self._agent.nhs(now)
            case "multicast":
                entries = self._agent.multicast()
                for entry in entries:
                    tap = self._taps.get(entry["interface"])
                    entry["packets"] = tap.copies[IPv4Address(entry["nbma"])] if tap else 0
                return entries
            case "counters":
                return self._agent.counters()
            case _:
                return self._status(now)

    def _status(self, now: float) -> Status:
        tunnels = []
        for config in self._config.tunnels:
            nbma = self._agent.tunnels[config.name].nbma
            tunnels.append(
                TunnelStatus(
                    interface=config.name,
                    mode=config.mode,
                    network_id=config.network_id,
                    address=str(config.address),
                    nbma=None if nbma is None else str(nbma),
                    up=nbma is not None,
                )
            )
        return Status(version=__version__, uptime_s=round(now - self._started, 3), tunnels=tunnels)

    def _end(self) -> None:
        self._ending = True
        self._woken.set()

    def _close(self) -> None:
        for nhrp in self._sockets.values():
            nhrp.close()
        for tap in self._taps.values():
            tap.close()
        self._config.control.unlink(missing_ok=True)
