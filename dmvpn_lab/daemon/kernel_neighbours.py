"""What the kernel says of the tunnels' neighbours: the core answers its questions, damage is mended.

`ip neigh flush`, or a daemon that has the kernel resolve an address anew (NTF_USE), takes a peer's
neighbour away. It is put back, if the cache still has the binding: what the agent itself let go
stays away. All that is damaged is mended at once, and then nothing for PAUSE_S, so that two who
disagree about a neighbour do not fight at the speed of the processor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from dmvpn_lab.address import IpAddress
from dmvpn_lab.daemon.port import Port
from dmvpn_lab.linux.link import find_link
from dmvpn_lab.linux.neighbour import Neighbour, read_neighbours
from dmvpn_lab.linux.neighbour_watch import NeighbourWatch
from dmvpn_lab.linux.netlink import Netlink
from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, Notify
from dmvpn_lab.nhrp.agent import Agent

PAUSE_S = 1.0
RESTORED = "neighbour-restored"
"""The counter, and the event."""


class KernelNeighbours:
    """Listens from the first to the last moment of the agent."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        netlink: Netlink,
        agent: Agent,
        ports: Mapping[str, Port],
        act: Callable[[list[Action]], None],
    ) -> None:
        self._loop, self._netlink, self._agent, self._ports, self._act = loop, netlink, agent, ports, act
        self._watch = NeighbourWatch(netlink.port)
        self._damaged: dict[str, dict[IpAddress, None]] = {}
        """Interface -> addresses about which the kernel said something that should not be."""
        self._mending: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        loop.add_reader(self._watch.fileno(), self._heard)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._watch.fileno())
        self._watch.close()
        if self._mending is not None:
            self._mending.cancel()

    def _heard(self) -> None:
        heard = self._watch.read()
        names = {port.index: name for name, port in self._ports.items()}
        for index, protocol in heard.wanted:
            if index in names:
                self._act(self._agent.probed(names[index], protocol, self._loop.time()))
        for entry in heard.changed:
            if entry.index in names:
                self._judge(names[entry.index], entry)
        if heard.lost:
            for name in self._ports:
                self._damage(name, *(each.protocol for each in self._agent.neighbours(name)))

    def _judge(self, name: str, entry: Neighbour) -> None:
        if not entry.state and entry.protocol in self._ports[name].broadcasts:
            self._damage(name)
        elif any(not sound(entry, owed) for owed in self._agent.neighbours(name, entry.protocol)):
            self._damage(name, entry.protocol)

    def _damage(self, name: str, *protocols: IpAddress) -> None:
        self._damaged.setdefault(name, {}).update(dict.fromkeys(protocols))
        if self._mending is None:
            self._mending = self._loop.call_at(max(self._loop.time(), self._not_before), self._mend)

    def _mend(self) -> None:
        """Put back what the cache holds and the kernel has not, or not so."""
        self._mending, self._not_before = None, self._loop.time() + PAUSE_S
        damaged, self._damaged = self._damaged, {}
        for name, protocols in damaged.items():
            port = self._ports.get(name)
            link = find_link(self._netlink, name)
            if port is None or link is None or link.index != port.index or not link.up:
                continue  # a link that comes back gets everything
            port.let_broadcast_out()
            there = {each.protocol: each for each in read_neighbours(self._netlink, port.index)}
            owed = (each for protocol in protocols for each in self._agent.neighbours(name, protocol))
            missing = [each for each in owed if not sound(there.get(each.protocol), each)]
            port.counters[RESTORED] += len(missing)
            self._act([*missing, *(Notify(RESTORED, _facts(each)) for each in missing)])


def sound(entry: Neighbour | None, owed: InstallNeighbour) -> bool:
    """Whether the kernel's entry is what the core has asked for."""
    return entry is not None and entry.leads_to(owed.nbma, permanent=not owed.on_demand)


def _facts(restored: InstallNeighbour) -> dict[str, str]:
    return {"interface": restored.interface, "protocol": str(restored.protocol), "nbma": str(restored.nbma)}
