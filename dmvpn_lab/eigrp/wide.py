"""The wide metric (RFC 7868 sections 5.6.2 and 6.9.2): links that the classic one cannot tell apart.

+---------------+---------------+---------------+---------------+
|  offset (0)   |   priority    |  reliability  |      load     |
+---------------+---------------+---------------+---------------+
|                     MTU                       |   hop count   |
+-----------------------------------------------+---------------+
|            delay (48 bits), picoseconds                       |
|                               +-------------------------------+
|                               |  bandwidth (48 bits), kbit/s  |
+-------------------------------+                               |
|                                                               |
+-------------------------------+-------------------------------+
|              0                |             flags             |
+-------------------------------+-------------------------------+

throughput = 65536 x 10^7 / kbit/s, of the slowest link     latency = 65536 x microseconds, summed
metric = throughput + latency                               (K1 = K3 = 1, the others 0)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from dmvpn_lab.eigrp.constants import HOP_LIMIT
from dmvpn_lab.eigrp.metric import SCALE, Metric

WIRE = struct.Struct("!BBBB3sB6s6sHH")
UNREACHABLE = 0xFFFFFFFFFFFF
"""A delay, and a bandwidth, of what cannot be reached."""
WIDE_SCALE = 65536
PS_A_US = 10**6
_CLASSIC_BANDWIDTH = 10**7


@dataclass(frozen=True, slots=True)
class Wide:
    """The vector as it is on the wire, without extended attributes."""

    delay_ps: int
    kbps: int
    mtu: int = 1500
    hops: int = 0
    reliability: int = 255
    load: int = 1
    flags: int = 0
    priority: int = 0

    @property
    def reachable(self) -> bool:
        """Whether it says that the destination can be reached."""
        return self.delay_ps < UNREACHABLE

    @property
    def distance(self) -> int:
        """The composite metric, of up to 64 bits; of what is reachable."""
        return WIDE_SCALE * _CLASSIC_BANDWIDTH // max(1, self.kbps) + WIDE_SCALE * self.delay_ps // PS_A_US

    def through(self, link: Wide) -> Wide:
        """This route's metric as seen from the other end of a link."""
        if not self.reachable or self.hops + 1 > HOP_LIMIT:
            return self.withdrawn()
        return replace(
            self,
            delay_ps=min(self.delay_ps + link.delay_ps, UNREACHABLE - 1),
            kbps=min(self.kbps, link.kbps),
            mtu=min(self.mtu, link.mtu),
            hops=self.hops + 1,
            reliability=min(self.reliability, link.reliability),
            load=max(self.load, link.load),
        )

    def withdrawn(self) -> Wide:
        """The same, unreachable."""
        return replace(self, delay_ps=UNREACHABLE)


NO_WIDE_ROUTE = Wide(UNREACHABLE, UNREACHABLE, 0)
Vector = Metric | Wide


def of_link(bandwidth_kbps: int, delay_us: int, mtu: int) -> Wide:
    """The metric of a link, and of the network connected to it."""
    return Wide(delay_us * PS_A_US, bandwidth_kbps, mtu)


def widened(metric: Vector) -> Wide:
    """As a wide one; what a classic one does not say is rounded as the classic one was."""
    if isinstance(metric, Wide):
        return metric
    delay_ps = metric.delay * 10 * PS_A_US // SCALE if metric.reachable else UNREACHABLE
    kbps = SCALE * _CLASSIC_BANDWIDTH // max(1, metric.bandwidth)
    return Wide(min(delay_ps, UNREACHABLE), kbps, metric.mtu, metric.hops, metric.reliability, metric.load,
                metric.flags)  # fmt: skip


def narrowed(metric: Vector) -> Metric:
    """As a classic one."""
    if isinstance(metric, Metric):
        return metric
    delay = min(SCALE * (metric.delay_ps // (10 * PS_A_US)), 0xFFFFFFFE)
    bandwidth = min(SCALE * (_CLASSIC_BANDWIDTH // max(1, metric.kbps)), 0xFFFFFFFE)
    found = Metric(delay, bandwidth, metric.mtu, metric.hops, metric.reliability, metric.load,
                   flags=metric.flags & 0xFF)  # fmt: skip
    return found if metric.reachable else found.withdrawn()


def encode_wide(metric: Wide) -> bytes:
    """The twenty-four octets."""
    return WIRE.pack(
        0, metric.priority, metric.reliability, metric.load, metric.mtu.to_bytes(3, "big"), metric.hops,
        metric.delay_ps.to_bytes(6, "big"), metric.kbps.to_bytes(6, "big"), 0, metric.flags,
    )  # fmt: skip


def decode_wide(octets: bytes) -> tuple[Wide, int]:
    """From the first twenty-four octets; and how many octets of extended attributes follow."""
    words, priority, reliability, load, mtu, hops, delay, kbps, _, flags = WIRE.unpack(octets)
    found = Wide(int.from_bytes(delay, "big"), int.from_bytes(kbps, "big"), int.from_bytes(mtu, "big"), hops,
                 reliability, load, flags, priority)  # fmt: skip
    return found, 2 * words
