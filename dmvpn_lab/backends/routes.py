"""Word of routes that change in a node whose processes run on this host.

It is a route netlink socket in the node's network namespace (rtnetlink(7); uapi linux/rtnetlink.h).
`ip monitor route` tells the same, but is a program in each node: of fifty routers they cost an
emulated host more than all that is watched.

    nlmsghdr   length u32 | type u16 | flags u16 | sequence u32 | port u32             host byte order
    rtmsg      family | destination length | source length | TOS | table | protocol | scope | type, u8
               each; flags u32
    attribute  length u16 | type u16 | value | padding to 4 octets
    rtnexthop  length u16 | flags u8 | hops u8 | interface u32 | attributes; in RTA_MULTIPATH
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from dmvpn_lab.errors import LabError

RTM_NEWROUTE, RTM_DELROUTE = 24, 25
RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x40, 0x400
RTA_DST, RTA_GATEWAY, RTA_MULTIPATH, RTA_TABLE = 1, 5, 9, 15
RTM_F_CLONED = 0x200
RT_TABLE_MAIN = 254
NLA_TYPE_MASK = 0x3FFF
CLONE_NEWNET = 0x40000000
HEADER, RTMSG, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=8BI"), struct.Struct("=HH")
NEXT_HOP = struct.Struct("=HBBI")
U32 = struct.Struct("=I")
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
    found, offset = [], 0
    while offset + HEADER.size <= len(datagram):
        length, kind, *_ = HEADER.unpack_from(datagram, offset)
        if length < HEADER.size or offset + length > len(datagram):
            break
        if kind in (RTM_NEWROUTE, RTM_DELROUTE):
            change = _change(datagram[offset + HEADER.size : offset + length], kind == RTM_DELROUTE)
            if change is not None:
                found.append(change)
        offset += (length + 3) & ~3
    return found


def _change(body: bytes, gone: bool) -> Change | None:
    family, length, _, _, table, _, _, _, flags = RTMSG.unpack_from(body)
    if family not in (socket.AF_INET, socket.AF_INET6) or flags & RTM_F_CLONED:
        return None
    values = _attributes(body[RTMSG.size :])
    octets = values.get(RTA_DST, bytes(4 if family == socket.AF_INET else 16))
    via = [values[RTA_GATEWAY]] if RTA_GATEWAY in values else _gateways(values.get(RTA_MULTIPATH, b""))
    if RTA_TABLE in values:
        (table,) = U32.unpack(values[RTA_TABLE])
    return Change(ip_network((octets, length)), tuple(ip_address(each) for each in via), table, gone)


def _gateways(multipath: bytes) -> list[bytes]:
    """Those of a route with several next hops."""
    found, offset = [], 0
    while offset + NEXT_HOP.size <= len(multipath):
        length, *_ = NEXT_HOP.unpack_from(multipath, offset)
        if length < NEXT_HOP.size:
            break
        values = _attributes(multipath[offset + NEXT_HOP.size : offset + length])
        if RTA_GATEWAY in values:
            found.append(values[RTA_GATEWAY])
        offset += (length + 3) & ~3
    return found


def _attributes(data: bytes) -> dict[int, bytes]:
    """Type -> value."""
    found, offset = {}, 0
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < ATTRIBUTE.size:
            break
        found[kind & NLA_TYPE_MASK] = data[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


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
    space = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(space, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(space)
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    made.bind((0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
    return made
