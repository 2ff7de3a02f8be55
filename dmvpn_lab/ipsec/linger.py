"""SAs that nobody here needs any more: they end when the peer has sent nothing in them for a while.

The peer may go on using a shortcut that has ended here. Nothing new is sent to it, because the NHRP cache
has no binding with its address; what it sends is still received. So the later of the two ends an SA.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

LINGER_S = 3.0
"""An SA that is not needed here ends after so long without a packet of the peer."""


class Linger:
    """Peers whose SAs linger, and what they had sent when it was last looked."""

    def __init__(self) -> None:
        self._due: dict[IPv4Address, float] = {}
        self._seen: dict[IPv4Address, int] = {}

    def peers(self) -> list[IPv4Address]:
        """All of them."""
        return sorted(self._due)

    def begin(self, peer: IPv4Address, now: float) -> None:
        """A peer's SAs are not needed any more; the first look, which is due at once, ends none."""
        self._due[peer] = now

    def forget(self, peer: IPv4Address) -> None:
        """They are needed again, or gone."""
        self._due.pop(peer, None)
        self._seen.pop(peer, None)

    def deadline(self) -> float | None:
        """When to look again, monotonic seconds."""
        return min(self._due.values(), default=None)

    def look(self, now: float) -> frozenset[IPv4Address]:
        """The peers whose packets must be counted now."""
        due = frozenset(peer for peer, at in self._due.items() if at <= now)
        for peer in due:
            self._due[peer] = now + LINGER_S
        return due

    def counted(self, packets: Mapping[IPv4Address, int]) -> list[IPv4Address]:
        """What these peers have sent so far. Returns those that sent nothing since the last look."""
        silent = [peer for peer, count in sorted(packets.items()) if self._seen.get(peer) == count]
        self._seen |= {peer: count for peer, count in packets.items() if peer in self._due}
        return [peer for peer in silent if peer in self._due]
