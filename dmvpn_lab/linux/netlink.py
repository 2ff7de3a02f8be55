"""Route netlink (rtnetlink(7)): the few messages that a node needs, on one socket.

    nlmsghdr   length u32 | type u16 | flags u16 | sequence u32 | port u32     host byte order
    attribute  length u16 | type u16 | value | padding to 4 octets

Why not pyroute2, which the lab side uses: measured in a forked process, its first link operation
makes 4.4 MB of memory private (an agent may cost 5 MB in all), and replacing a neighbour takes
0.3 ms against 0.01 ms here, which under emulation decides how many registrations a hub sustains.

The kernel carries out a request inside `sendmsg`, so the answer is there when it returns: every
call here is synchronous and never waits for anything but the kernel's own lock.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from dmvpn_lab.errors import DmvpnLabError, HostError
from dmvpn_lab.linux.packet_socket import Instruction, attach_filter

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")
TYPE_MASK = 0x3FFF
"""Without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""

SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NETLINK_CAP_ACK = 10
NETLINK_GET_STRICT_CHK = 12

BATCH = 128
"""Requests in one `sendmsg`: what the kernel says to them fits the receive buffer, if it refuses all."""
RECEIVE_BUFFER = 1 << 20
_CHUNK = 1 << 16


class Kind(IntEnum):
    """Message types of linux/netlink.h and linux/rtnetlink.h."""

    ERROR = 2
    DONE = 3
    OVERRUN = 4
    NEWLINK = 16
    DELLINK = 17
    GETLINK = 18
    NEWADDR = 20
    DELADDR = 21
    GETADDR = 22
    NEWROUTE = 24
    DELROUTE = 25
    GETROUTE = 26
    NEWNEIGH = 28
    DELNEIGH = 29
    GETNEIGH = 30
    NEWRULE = 32
    SETNEIGHTBL = 67


class Flag(IntFlag):
    """Header flags; what the upper ones mean depends on the message type."""

    REQUEST = 0x1
    ACK = 0x4
    DUMP = 0x300
    REPLACE = 0x100
    EXCL = 0x200
    CREATE = 0x400


class Group(IntEnum):
    """Multicast groups of events (RTNLGRP_*)."""

    LINK = 1
    NEIGHBOUR = 3
    IPV4_IFADDR = 5
    IPV4_ROUTE = 7
    IPV6_ROUTE = 11


PUT = int(Flag.CREATE | Flag.REPLACE)
"""Make or replace. A plain number, as a hub uses it a thousand times a second: enums add slowly."""
_REQUEST, _ACKNOWLEDGED = int(Flag.REQUEST), int(Flag.REQUEST | Flag.ACK)


@dataclass(slots=True)
class Request:
    """One message to the kernel. Not frozen: that would be four times as much work to make."""

    kind: int
    flags: int
    """Besides REQUEST and ACK."""
    body: bytes
    """The fixed part and the attributes."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message from the kernel."""

    kind: int
    sequence: int
    body: bytes


class NetlinkError(DmvpnLabError):
    """The kernel refused a request; `errno` says why."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(f"{what}: {os.strerror(number)}")
        self.errno = number


class EventsLost(DmvpnLabError):
    """The kernel dropped events because the socket's buffer was full: read the state again."""


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(-length % 4)


def attributes(data: bytes) -> dict[int, bytes]:
    """Type -> value of a run of attributes; a truncated one ends it."""
    found: dict[int, bytes] = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size or offset + length > len(data):
            break
        found[kind & TYPE_MASK] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def text(value: bytes) -> str:
    """A string attribute without its NUL."""
    return value.rstrip(b"\0").decode(errors="replace")


def split(datagram: bytes) -> Iterator[Message]:
    """The messages of one datagram."""
    offset = 0
    while offset + HEADER.size <= len(datagram):
        length, kind, _flags, sequence, _port = HEADER.unpack_from(datagram, offset)
        if length < HEADER.size or offset + length > len(datagram):
            return
        yield Message(kind, sequence, datagram[offset + HEADER.size : offset + length])
        offset += (length + 3) & ~3


class Netlink:
    """A socket for requests. It belongs to the network namespace in which it was made."""

    def __init__(self, family: int = socket.NETLINK_ROUTE) -> None:
        self._socket = _open(family)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self._sequence = 0

    @property
    def port(self) -> int:
        """The number that the kernel puts into events which this socket caused."""
        port, _groups = self._socket.getsockname()
        return int(port)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def apply(self, requests: Sequence[Request]) -> list[int]:
        """Carry out requests in order; returns the errno of each, 0 for success."""
        verdicts: list[int] = []
        for start in range(0, len(requests), BATCH):
            verdicts += self._batch(requests[start : start + BATCH])
        return verdicts

    def do(self, what: str, request: Request, *, ignore: tuple[int, ...] = ()) -> None:
        """Carry out one request. Raises NetlinkError(what, errno) unless it is to be ignored."""
        (number,) = self._batch([request])
        if number and number not in ignore:
            raise NetlinkError(what, number)

    def get(self, what: str, request: Request) -> bytes | None:
        """The body of the one answer; None when there is no such object.

        Raises NetlinkError for other refusals."""
        first = self._send([request])
        answer: bytes | None = None
        while True:
            for message in self._receive(first, 1):
                if message.kind != Kind.ERROR:
                    answer = message.body
                    continue
                number = -_ERRNO.unpack_from(message.body)[0]
                if number and number not in (errno.ENODEV, errno.ENETUNREACH, errno.EHOSTUNREACH):
                    raise NetlinkError(what, number)
                return None if number else answer

    def dump(self, what: str, kind: int, body: bytes) -> list[bytes]:
        """Bodies of all objects of a kind. Raises NetlinkError."""
        first = self._send([Request(kind, Flag.DUMP, body)], ack=False)
        found: list[bytes] = []
        while True:
            for message in self._receive(first, 1):
                if message.kind not in (Kind.DONE, Kind.ERROR):
                    found.append(message.body)
                    continue
                # A dump that fails on its way ends with DONE too, with the errno in it.
                number = -_ERRNO.unpack_from(message.body)[0]
                if number:
                    raise NetlinkError(what, number)
                return found

    def _batch(self, requests: Sequence[Request]) -> list[int]:
        """Only the last one is acknowledged: of the others the kernel tells what it refuses, before that."""
        first = self._send(requests)
        verdicts, last = [0] * len(requests), first + len(requests) - 1
        while True:
            for message in self._receive(first, len(requests)):
                if message.kind == Kind.ERROR:
                    verdicts[message.sequence - first] = -_ERRNO.unpack_from(message.body)[0]
                    if message.sequence == last:
                        return verdicts

    def _send(self, requests: Sequence[Request], *, ack: bool = True) -> int:
        """Send as one datagram, the last to be acknowledged; returns the sequence number of the first."""
        first, number, last = self._sequence + 1, self._sequence, requests[-1] if ack else None
        parts: list[bytes] = []
        for request in requests:
            number += 1
            length = HEADER.size + len(request.body)
            flags = request.flags | (_ACKNOWLEDGED if request is last else _REQUEST)
            parts += (HEADER.pack(length, request.kind, flags, number, 0), request.body)
            if length % 4:
                parts.append(bytes(-length % 4))
        self._sequence = number if number < 1 << 30 else 0
        self._socket.send(b"".join(parts))
        return first

    def _receive(self, first: int, count: int) -> list[Message]:
        """The next answers to the requests numbered from `first`."""
        return [m for m in split(self._socket.recv(_CHUNK)) if first <= m.sequence < first + count]


class NetlinkEvents:
    """A non-blocking socket that receives the kernel's events of some groups."""

    def __init__(
        self,
        groups: Sequence[int],
        family: int = socket.NETLINK_ROUTE,
        program: Sequence[Instruction] = (),
    ) -> None:
        self._socket = _open(family)
        self._socket.setblocking(False)
        if program:
            attach_filter(self._socket, program)
        for group in groups:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> list[Message]:
        """All events that are there. Raises EventsLost when some were dropped."""
        found: list[Message] = []
        while True:
            try:
                found += split(self._socket.recv(_CHUNK))
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise EventsLost("the kernel dropped netlink events") from error
                raise


def _open(family: int) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
    except OSError as error:
        raise HostError(f"cannot open a netlink socket: {error.strerror}") from error
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.bind((0, 0))
    return sock
