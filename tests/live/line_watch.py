"""Everything on a lab's lines, from before its routers have a cable until after they are gone."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from dmvpn_lab.backends.state import LabFolder
from tests.live.namespaces import enter

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
ICMP, GRE, ESP, UDP = 1, 47, 50, 17
TOO_BIG = b"\3\4"
"""ICMP: unreachable, fragmentation needed and DF set."""
IKE_PORT = 500
SO_TIMESTAMP, SO_RCVBUFFORCE = 29, 33
TIMEVAL = struct.Struct("=qq")
SOL_PACKET, PACKET_STATISTICS = 263, 6
LOOK_S = 0.005
DONT_FRAGMENT, PIECE = 0x4000, 0x3FFF
"""Of an IPv4 header: the flag; more fragments and the offset."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One IPv4 packet on one line."""

    at: float
    """Wall clock."""
    source: str
    destination: str
    protocol: int
    port: int
    """Of the destination, for UDP; else 0."""
    length: int
    """Octets, as its header says."""
    dont_fragment: bool
    fragment: bool
    """A piece of a packet."""
    too_big: bool
    """A router's word that a packet with DF does not fit."""

    @property
    def is_ike(self) -> bool:
        """IKE's own port."""
        return self.protocol == UDP and self.port == IKE_PORT


class LineWatch:
    """A packet socket over all lines of an ISP router, opened as soon as there is one."""

    def __init__(self, lab: str, isp: str) -> None:
        self.packets: list[Seen] = []
        self.lost = 0
        self._lab = lab
        self._isp = isp
        self._ending = threading.Event()
        self.opened = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        """Stop, with everything read that came."""
        self._ending.set()
        self._thread.join()

    def cleartext(self) -> list[Seen]:
        """GRE of a router that no IPsec covers. The ISP's own addresses are those of test probes."""
        gre = (packet for packet in self.packets if packet.protocol == GRE)
        return [packet for packet in gre if not packet.source.endswith(".254")]

    def _run(self) -> None:
        pid = None
        while pid is None and not self._ending.is_set():
            pid = (LabFolder(self._lab).read_json("pids") or {}).get(self._isp)
            time.sleep(LOOK_S)
        if pid is None:
            return
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        enter(namespace)  # of this thread alone, which ends with the watch
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as lines:
            os.close(namespace)
            lines.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
            lines.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
            lines.settimeout(0.1)
            self.opened.set()
            while not self._ending.is_set():
                with contextlib.suppress(TimeoutError):
                    data, extra, _flags, (_line, protocol, kind, *_rest) = lines.recvmsg(65535, 64)
                    seconds, micros = TIMEVAL.unpack(extra[0][2])  # the kernel's: this thread may lag behind
                    self._take(data, seconds + micros / 1e6, protocol, kind)
            _all, self.lost = struct.unpack("=II", lines.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))

    def _take(self, data: bytes, at: float, protocol: int, _kind: int) -> None:
        if protocol == ETH_P_IP:
            self.packets.append(_seen(data, at))


def _seen(data: bytes, at: float) -> Seen:
    header = (data[0] & 15) * 4
    port = struct.unpack_from("!H", data, header + 2)[0] if data[9] == UDP else 0
    length, _number, pieces = struct.unpack_from("!HHH", data, 2)
    return Seen(at, socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20]), data[9], port, length,
                bool(pieces & DONT_FRAGMENT), bool(pieces & PIECE),
                data[9] == ICMP and data[header : header + 2] == TOO_BIG)  # fmt: skip


@contextlib.contextmanager
def line_watch(lab: str, isp: str = "isp") -> Iterator[LineWatch]:
    """A watch for the length of a block, which begins before the lab does."""
    made = LineWatch(lab, isp)
    try:
        yield made
    finally:
        made.close()
