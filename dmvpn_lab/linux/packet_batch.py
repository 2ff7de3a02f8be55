"""Many packets of a packet socket in one system call (recvmmsg(2), sendmmsg(2)), by way of libc.

Python's own calls take one packet each, and for each one an ioctl that turns the link's index into
its name. What the kernel reads and writes is laid out once:

    headers   struct mmsghdr a packet, each with a pointer to its vector, its name and no control data
    vectors   struct iovec a packet: where in the room its octets are, and how many
    names     struct sockaddr_ll a packet: the link, the protocol, the link-layer address
    room      the octets
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
from array import array
from collections.abc import Sequence

_MSGHDR = "@PIPNPNi0P"
_MMSGHDR = struct.Struct(f"{_MSGHDR}I0P")
_IOVEC = struct.Struct("@PN")
_SOCKADDR_LL = struct.Struct("=HHiHBB8s")
_LENGTH_AT = struct.calcsize(_MSGHDR)
"""Of a header: the length of what came."""
_LONGEST_NAME = 48
"""Octets between two names that the kernel fills in: a link-layer address has 32 at the most."""
_ADDRESS_LENGTH_AT, _ADDRESS_AT = 11, 12
"""Of a name."""
_SLOT = 1 << 16
"""Octets of the room for a packet; what is not touched takes no memory."""
_NOTHING = (errno.EAGAIN, errno.ENETDOWN, errno.ENXIO, errno.ENODEV)
"""No packet is there; the last three are said once, when the link goes down."""
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Frame:
    """The memory that headers point to."""

    def __init__(self, count: int, name_length: int) -> None:
        self.count = count
        self.room = mmap.mmap(-1, count * _SLOT)
        self.vectors = bytearray(count * _IOVEC.size)
        self.names = bytearray(count * name_length)
        self.headers = bytearray(count * _MMSGHDR.size)
        self.base = _address_of(self.room)
        names, vectors = _address_of(self.names), _address_of(self.vectors)
        for i in range(count):
            _IOVEC.pack_into(self.vectors, i * _IOVEC.size, self.base + i * _SLOT, _SLOT)
            header = (names + i * name_length, _SOCKADDR_LL.size, vectors + i * _IOVEC.size, 1, 0, 0, 0, 0)
            _MMSGHDR.pack_into(self.headers, i * _MMSGHDR.size, *header)
        self.at = _address_of(self.headers)
        self.pointer = ctypes.c_void_p(self.at)


class Inbox:
    """Takes what has come to a socket."""

    def __init__(self, sock: socket.socket, count: int) -> None:
        self._file, self._frame = sock.fileno(), _Frame(count, _LONGEST_NAME)
        self._expected: list[int] = []
        self._slices: list[slice] = []
        """Where in the room packets of the expected lengths are: mostly those that came last time."""
        frame = self._frame
        self._lengths = _every(frame.headers, _MMSGHDR.size, _LENGTH_AT, "I")
        self._addresses = _every(frame.names, _LONGEST_NAME, _ADDRESS_AT, "I")
        self._address_lengths = _every(frame.names, _LONGEST_NAME, _ADDRESS_LENGTH_AT, "B")

    def take(self) -> tuple[list[bytes], list[int] | None]:
        """The packets that are there, and the link-layer address of each one's sender.

        As many as there is room for, and none when there is none. An address is its four octets
        as a number, in the host's byte order; None: the link's addresses have not four octets.
        Raises OSError.
        """
        frame = self._frame
        found = _LIBC.recvmmsg(self._file, frame.pointer, frame.count, socket.MSG_DONTWAIT, None)
        if found < 0:
            number = ctypes.get_errno()
            if number in _NOTHING:
                return [], None
            raise OSError(number, os.strerror(number))
        room, lengths = frame.room, self._lengths[:found].tolist()
        if lengths != self._expected[:found]:
            self._expect(lengths)
        packets = [room[where] for where in self._slices[:found]]
        four_octets = self._address_lengths[0] == 4  # of one link all are
        return packets, self._addresses[:found].tolist() if four_octets else None

    def _expect(self, lengths: list[int]) -> None:
        self._expected = lengths
        self._slices = [slice(i * _SLOT, i * _SLOT + length) for i, length in enumerate(lengths)]


class Outbox:
    """Sends out of one link, with one protocol."""

    def __init__(self, sock: socket.socket, index: int, protocol: int, count: int) -> None:
        self._file, self._frame = sock.fileno(), _Frame(count, _SOCKADDR_LL.size)
        name = _SOCKADDR_LL.pack(socket.AF_PACKET, socket.htons(protocol), index, 0, 0, 4, bytes(8))
        self._frame.names[:] = name * count
        self._between = name[16:] + name[:12]
        """What stands between two link-layer addresses."""
        self._lengths: list[int] = []
        """Of the packets that the vectors are laid out for: mostly those of the last time."""

    def send(self, packets: Sequence[bytes], addresses: Sequence[bytes]) -> int:
        """Send packets, each to four octets of link-layer address. Returns how many were not taken."""
        count, failed = self._frame.count, 0
        while packets:
            failed += self._send(packets[:count], addresses[:count])
            packets, addresses = packets[count:], addresses[count:]
        return failed

    def _send(self, packets: Sequence[bytes], addresses: Sequence[bytes]) -> int:
        frame, lengths, octets = self._frame, list(map(len, packets)), b"".join(packets)
        if lengths != self._lengths[: len(lengths)]:
            self._lay_out(lengths)
        frame.room[: len(octets)] = octets
        names = self._between.join(addresses)
        frame.names[_ADDRESS_AT : _ADDRESS_AT + len(names)] = names
        return self._push(len(packets))

    def _lay_out(self, lengths: list[int]) -> None:
        """Have the vectors say where packets of these lengths are, one behind the other."""
        vectors, at = array("L"), self._frame.base
        for length in lengths:
            vectors.append(at)
            vectors.append(length)
            at += length
        self._frame.vectors[: len(vectors) * vectors.itemsize] = vectors.tobytes()
        self._lengths = lengths

    def _push(self, count: int) -> int:
        """Have the kernel take what is laid out; it stops at each packet that it does not take.

        A socket that was bound while the link was down, or lived through that, holds one ENETDOWN
        for the next call, be the link up by now or not: hence the second try.
        """
        done = failed = 0
        tried_again = False
        while done < count:
            header = ctypes.c_void_p(self._frame.at + done * _MMSGHDR.size)
            sent = _LIBC.sendmmsg(self._file, header, count - done, 0)
            if sent >= 0:
                done += sent
            elif ctypes.get_errno() == errno.ENETDOWN and not tried_again:
                tried_again = True
            else:
                done, failed = done + 1, failed + 1
        return failed


def _every(memory: bytearray, size: int, offset: int, kind: str) -> memoryview:
    """A number of each record in some memory, of a kind as `struct` has them."""
    view: memoryview[int] = memoryview(memory).cast(kind)  # type: ignore[call-overload]
    return view[offset // view.itemsize :: size // view.itemsize]


def _address_of(memory: bytearray | mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
