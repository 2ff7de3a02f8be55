"""One neighbour: what is known of it, and the packets that it has not acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.eigrp.constants import (
    RTO_FIRST_S,
    RTO_GROWTH,
    RTO_LEAST_S,
    RTO_MOST_S,
    RTO_OF_SRTT,
)
from dmvpn_lab.eigrp.dual import Peer
from dmvpn_lab.eigrp.tlv import Route, Tlv
from dmvpn_lab.eigrp.wide import Wide

GAIN = 0.125
"""Weight of a new round trip in the smoothed one."""


@dataclass(slots=True)
class Message:
    """One reliable packet, perhaps on its way to several neighbours."""

    sequence: int
    opcode: int
    flags: int = 0
    tlvs: tuple[Tlv, ...] = ()
    asn: int = 0


@dataclass(slots=True)
class Neighbour:
    """A router on the other side of an interface."""

    interface: str
    address: IPv4Address
    number: int
    """In the order of appearance (`H` of `show ip eigrp neighbors`)."""
    hold_s: float
    since: float
    up: bool = False
    """It has acknowledged our first update: both ways work (section 5.3.5)."""
    both_ways: bool = False
    """It has acknowledged our first update, but we restart and have nothing to say yet."""
    ended: bool = False
    """It has marked the end of its table."""
    heard_init: bool = False
    """Its first update has come."""
    stub: int | None = None
    wide: bool = False
    """It and we speak of wide metrics."""
    key_sequence: int = 0
    """Of its last authentic packet; an earlier one is a replay."""
    last_sequence: int = 0
    """Of its packets."""
    acknowledge: int = 0
    """What we have to acknowledge; 0: nothing."""
    queue: deque[Message] = field(default_factory=deque)
    """The first one is in flight, or waits for its turn."""
    sent_at: float | None = None
    """When the first of the queue was sent first; None: not yet."""
    tries: int = 0
    rto_s: float = RTO_FIRST_S
    srtt_s: float | None = None
    conditional: int | None = None
    """Conditional receive mode: the sequence number that may come; 0: any. None: off."""
    stale: set[IPv4Network] = field(default_factory=set)
    """It restarts: destinations from before, until its end of table."""

    @property
    def peer(self) -> Peer:
        """Its name in the topology table."""
        return self.interface, self.address

    def spoken(self, routes: Iterable[Route]) -> list[Route]:
        """Those in the format that is spoken between us: in a mixed network a packet has both."""
        return [route for route in routes if isinstance(route.metric, Wide) == self.wide]

    def is_old(self, sequence: int) -> bool:
        """Whether a packet has come before. Sequence numbers wrap to 1."""
        return self.last_sequence != 0 and (self.last_sequence - sequence) % (1 << 32) < 1 << 31

    def transmitted(self, now: float) -> float:
        """The first of the queue has been sent (again); when to send it once more."""
        self.tries += 1
        if self.sent_at is None:
            self.sent_at = now
        else:
            self.rto_s = min(RTO_MOST_S, self.rto_s * RTO_GROWTH)
        return now + self.rto_s

    def acknowledged(self, sequence: int, now: float) -> bool:
        """Whether that is the acknowledgment of what is in flight; then the next may go."""
        if not self.queue or self.queue[0].sequence != sequence or self.sent_at is None:
            return False
        if self.tries == 1:  # of a packet sent twice it is not known which one is acknowledged
            trip_s = now - self.sent_at
            self.srtt_s = trip_s if self.srtt_s is None else self.srtt_s + GAIN * (trip_s - self.srtt_s)
        if self.srtt_s is not None:
            self.rto_s = min(RTO_MOST_S, max(RTO_LEAST_S, RTO_OF_SRTT * self.srtt_s))
        self.queue.popleft()
        self.sent_at, self.tries = None, 0
        return True
