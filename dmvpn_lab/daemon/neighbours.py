"""Neighbours on their way to the kernel: collected, then installed in one system call."""

from __future__ import annotations

import errno
import os

from dmvpn_lab.daemon.port import Port
from dmvpn_lab.linux.neighbour import delete_neighbour, put_neighbour, put_used_neighbour
from dmvpn_lab.linux.netlink import Netlink, Request
from dmvpn_lab.nhrp.actions import InstallNeighbour, RemoveNeighbour

Change = InstallNeighbour | RemoveNeighbour


class NeighbourQueue:
    """Changes in their order. A burst of registrations becomes a few system calls."""

    def __init__(self, netlink: Netlink) -> None:
        self._netlink = netlink
        self._changes: list[tuple[Port, Change]] = []
        self._lost: list[Change] = []
        """Of tunnels that are not there."""
        self.urgent = False
        """A change without token waits: what the core said after it must come after it."""

    def put(self, port: Port | None, change: Change) -> None:
        """Add a change; no port: its tunnel is not there, and the kernel's answer is known."""
        if port is None:
            self._lost.append(change)
        else:
            self._changes.append((port, change))
            if port.inherited:
                port.inherited.discard(change.protocol)
        if isinstance(change, RemoveNeighbour) or change.token is None:
            self.urgent = True

    def flush(self) -> list[tuple[Change, str | None]]:
        """Make the changes. Returns each with the error, None when the kernel took it."""
        if not self._changes and not self._lost:
            return []
        changes, lost = self._changes, self._lost
        self._changes, self._lost, self.urgent = [], [], False
        numbers = self._netlink.apply([_request(port, change) for port, change in changes])
        done = [(change, _meaning(change, number) if number else None)
                for (_, change), number in zip(changes, numbers, strict=True)]  # fmt: skip
        return done + [(change, "the tunnel is not there") for change in lost]


def _request(port: Port, change: Change) -> Request:
    if isinstance(change, InstallNeighbour):
        if change.on_demand:
            return put_used_neighbour(port.index, change.protocol, change.nbma)
        return put_neighbour(port.index, change.protocol, change.nbma)
    return delete_neighbour(port.index, change.protocol)


def _meaning(change: Change, number: int) -> str | None:
    if isinstance(change, RemoveNeighbour) and number in (errno.ENOENT, errno.ENODEV):
        return None  # gone already
    return os.strerror(number)
