"""Packets that an nftables rule logs to a group (uapi linux/netfilter/nfnetlink_log.h).

    nfgenmsg   family u8 | version u8 | resource id be16, then attributes as in route netlink

The hub's rules log what is forwarded between tunnels, or out of the one that it came in by. The
hardware address of such a packet is its outer source: `ipgre_header_parse` (net/ipv4/ip_gre.c).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.errors import HostError
from dmvpn_lab.linux.netlink import HEADER, attribute, attributes, split

NETLINK_NETFILTER = 12
NFNL_SUBSYS_ULOG = 4
MSG_PACKET = NFNL_SUBSYS_ULOG << 8
MSG_CONFIG = NFNL_SUBSYS_ULOG << 8 | 1
NLM_F_REQUEST, NLM_F_ACK = 1, 4
CFG_CMD, CFG_MODE, CFG_QTHRESH = 1, 2, 5
CMD_BIND = 1
COPY_PACKET = 2
ATTR_HWADDR, ATTR_PAYLOAD, ATTR_IFINDEX_INDEV, ATTR_IFINDEX_OUTDEV = 8, 9, 4, 5
SNAP = 96
"""Octets of each packet."""
RECEIVE_BUFFER = 1 << 20
_CHUNK = 1 << 16
_NFGENMSG = struct.Struct(">BBH")
_MODE = struct.Struct(">IBx")
_HWADDR = struct.Struct(">HH8s")


@dataclass(frozen=True, slots=True)
class Logged:
    """One packet."""

    index: int
    """Of the link that it came in by."""
    out: int
    """Of the link that it leaves by; 0: by none."""
    nbma: IPv4Address | None
    """Its outer source; None when it did not come by multipoint GRE."""
    data: bytes
    """From its IP header on, at most SNAP octets."""


class Nflog:
    """Receives one group. It belongs to the network namespace in which it was made."""

    def __init__(self, group: int) -> None:
        """Raises HostError when the kernel has no NFLOG, or another program has the group."""
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        try:
            self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
        except OSError as error:
            raise HostError(f"cannot open an NFLOG socket: {error.strerror}") from error
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.bind((0, 0))
            self._configure(group, attribute(CFG_CMD, bytes([CMD_BIND])))
            self._configure(group, attribute(CFG_MODE, _MODE.pack(SNAP, COPY_PACKET)))
            # Each packet at once: the kernel would collect for a second, and a spoke waits.
            self._configure(group, attribute(CFG_QTHRESH, struct.pack(">I", 1)))
        except OSError as error:
            self._socket.close()
            raise HostError(f"NFLOG group {group}: {error.strerror}") from error
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def read(self) -> list[Logged]:
        """The packets that are there. Some may have been lost: more of their kind will come."""
        found: list[Logged] = []
        while True:
            try:
                datagram = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    continue
                raise
            for message in split(datagram):
                logged = decode(message.body) if message.kind == MSG_PACKET else None
                if logged is not None:
                    found.append(logged)

    def _configure(self, group: int, body: bytes) -> None:
        body = _NFGENMSG.pack(socket.AF_UNSPEC, 0, group) + body
        flags = NLM_F_REQUEST | NLM_F_ACK
        self._socket.send(HEADER.pack(HEADER.size + len(body), MSG_CONFIG, flags, 1, 0) + body)
        for message in split(self._socket.recv(_CHUNK)):
            number = -struct.unpack_from("=i", message.body)[0]
            if number:
                raise OSError(number, _reason(number))


def decode(body: bytes) -> Logged | None:
    """One logged packet; None for one without the link that it came in by."""
    values = attributes(body[_NFGENMSG.size :])
    index, hardware = values.get(ATTR_IFINDEX_INDEV, b""), values.get(ATTR_HWADDR, b"")
    out = int.from_bytes(values.get(ATTR_IFINDEX_OUTDEV, b""), "big")
    if len(index) != 4:
        return None
    nbma = None
    if len(hardware) == _HWADDR.size:
        length, _, octets = _HWADDR.unpack(hardware)
        nbma = IPv4Address(octets[:4]) if length == 4 else None
    return Logged(int.from_bytes(index, "big"), out, nbma, values.get(ATTR_PAYLOAD, b""))


def _reason(number: int) -> str:
    return "another program has it" if number in (errno.EBUSY, errno.EPERM) else os.strerror(number)
