"""Word of routes that change in a node whose processes run on this host.

It is a route netlink socket in the node's network namespace. `ip monitor route` tells the same, but is
a program in each node: of fifty routers they cost an emulated host more than all that is watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from dmvpn_lab.errors import LabError

CHANGES = ("RTM_NEWROUTE", "RTM_DELROUTE")
RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x40, 0x400
RTM_F_CLONED = 0x200
RT_TABLE_MAIN = 254
ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
BUFFER = 1 << 20
"""Octets of changes that the kernel keeps for us, if it may."""


@dataclass(frozen=True, slots=True)
class Change:
    """A route that came, was replaced, or went."""

    destination: IPv4Network | IPv6Network
    via: tuple[IPv4Address | IPv6Address, ...]
    """Its gateways; none of what is on the link."""
    table: int
    gone: bool


Heard = Callable[[Sequence[Change]], None]
"""Called from the event loop. No change at all: the kernel had more than it could keep."""


@contextlib.contextmanager
def following(pid: int, heard: Heard) -> Iterator[asyncio.Event]:
    """Hear of the routes in a process's network namespace for the length of a block.

    The event is set when the process has ended: the socket would keep its namespace alive, and is closed.
    Raises LabError.
    """
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    with contextlib.ExitStack() as stack:
        try:
            process = os.pidfd_open(pid)
            stack.callback(os.close, process)
            monitor = stack.enter_context(_socket_of(pid))
        except OSError as error:
            raise LabError(f"the routes of process {pid} cannot be followed: {error.strerror}") from error

        def stop() -> None:
            loop.remove_reader(monitor)
            loop.remove_reader(process)

        def end() -> None:
            stop()
            monitor.close()
            ended.set()

        loop.add_reader(monitor, lambda: heard(_read(monitor)))
        loop.add_reader(process, end)
        try:
            yield ended
        finally:
            if not ended.is_set():
                stop()


def decode_changes(datagram: bytes) -> list[Change]:
    """The changes in what the kernel sends at a time; what is no route, or a copy of one, is left out."""
    from pyroute2.netlink.rtnl.marshal import MarshalRtnl

    return [
        _change(message)
        for message in MarshalRtnl().parse(datagram)
        if message["event"] in CHANGES and not message["flags"] & RTM_F_CLONED
    ]


def _change(message: Any) -> Change:
    destination = message.get("dst") or ANY[message["family"]]
    hops = message.get("multipath") or [message]
    via = tuple(ip_address(hop.get("gateway")) for hop in hops if hop.get("gateway"))
    network = ip_network(f"{destination}/{message['dst_len']}")
    table = message.get("table") or message["table"]
    return Change(network, via, table, gone=message["event"] == "RTM_DELROUTE")


def _read(monitor: socket.socket) -> list[Change]:
    """All that is there."""
    found: list[Change] = []
    while True:
        try:
            found += decode_changes(monitor.recv(1 << 16))
        except BlockingIOError:
            return found
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise


def _socket_of(pid: int) -> socket.socket:
    """A socket in a process's network namespace, by a thread that goes there and ends. Raises OSError."""
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            made.append(_enter_and_listen(pid))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _enter_and_listen(pid: int) -> socket.socket:
    from pyroute2 import netns

    space = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        netns.setns(space)
    finally:
        os.close(space)
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    made.bind((0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
    return made
