"""The classic metric (RFC 7868 sections 5.6.1 and 6.8.2): a vector, and the one number made of it.

    bandwidth  256 x 10^7 / kbit/s, of the slowest link       delay  256 x tens of microseconds, summed
    metric = bandwidth + delay                                (K1 = K3 = 1, the others 0)

Reliability and load are carried and not counted.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from dmvpn_lab.eigrp.constants import HOP_LIMIT, UNREACHABLE

WIRE = struct.Struct("!II3sBBBBB")
SCALE = 256


@dataclass(frozen=True, slots=True)
class Metric:
    """The vector as it is on the wire."""

    delay: int
    bandwidth: int
    mtu: int = 1500
    hops: int = 0
    reliability: int = 255
    load: int = 1
    tag: int = 0
    flags: int = 0

    @property
    def reachable(self) -> bool:
        """Whether it says that the destination can be reached."""
        return self.delay < UNREACHABLE

    @property
    def distance(self) -> int:
        """The composite metric; UNREACHABLE for no route."""
        if not self.reachable:
            return UNREACHABLE
        return min(self.bandwidth + self.delay, UNREACHABLE - 1)

    def through(self, link: Metric) -> Metric:
        """This route's metric as seen from the other end of a link."""
        if not self.reachable or self.hops + 1 > HOP_LIMIT:
            return self.withdrawn()
        return replace(
            self,
            delay=min(self.delay + link.delay, UNREACHABLE - 1),
            bandwidth=max(self.bandwidth, link.bandwidth),
            mtu=min(self.mtu, link.mtu),
            hops=self.hops + 1,
            reliability=min(self.reliability, link.reliability),
            load=max(self.load, link.load),
        )

    def withdrawn(self) -> Metric:
        """The same, unreachable."""
        return replace(self, delay=UNREACHABLE)


NO_ROUTE = Metric(UNREACHABLE, UNREACHABLE, 0)


def of_link(bandwidth_kbps: int, delay_us: int, mtu: int) -> Metric:
    """The metric of a link, and of the network connected to it. Truncated first, then scaled."""
    return Metric(SCALE * (delay_us // 10), SCALE * (10**7 // bandwidth_kbps), mtu)


def encode_metric(metric: Metric) -> bytes:
    """The sixteen octets."""
    return WIRE.pack(
        metric.delay, metric.bandwidth, metric.mtu.to_bytes(3, "big"), metric.hops,
        metric.reliability, metric.load, metric.tag, metric.flags,
    )  # fmt: skip


def decode_metric(octets: bytes) -> Metric:
    """From sixteen octets."""
    delay, bandwidth, mtu, hops, reliability, load, tag, flags = WIRE.unpack(octets)
    return Metric(delay, bandwidth, int.from_bytes(mtu, "big"), hops, reliability, load, tag, flags)
