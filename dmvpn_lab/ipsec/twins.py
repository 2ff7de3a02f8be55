"""Two ends that both began have two pairs with each other: one stays, and nobody is without meanwhile.

The one that the first of the two identities began stays, and whoever began the other one ends it: both
ends decide the same. Who answered is ready before who asked, so the end waits until both have both.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address

from dmvpn_lab.ipsec import connection
from dmvpn_lab.ipsec.actions import Action, Ask
from dmvpn_lab.ipsec.sa import ChildSa

BOTH_S = 2.0
"""So long after an end has both pairs the other one has them, too, if its answer was lost once."""


class Twins:
    """The peers with which there are two pairs."""

    def __init__(self, identity: str) -> None:
        """`identity` is this end's own."""
        self._identity = identity
        self._due: dict[IPv4Address, float] = {}

    def look(self, pairs: Sequence[ChildSa], now: float) -> None:
        """A pair with a peer is new: if it is the second one, ours may have to end."""
        if self._surplus(pairs):
            self._due.setdefault(pairs[0].peer, now + BOTH_S)

    def deadline(self) -> float | None:
        """When `due` has one, monotonic seconds."""
        return min(self._due.values(), default=None)

    def due(self, now: float) -> list[IPv4Address]:
        """The peers whose pairs must be looked at now."""
        found = [peer for peer, at in self._due.items() if at <= now]
        for peer in found:
            del self._due[peer]
        return found

    def end(self, pairs: Sequence[ChildSa]) -> list[Action]:
        """End what is too many, if it still is."""
        return [Ask("terminate", connection.terminate_ike(ike_id)) for ike_id in self._surplus(pairs)]

    def _surplus(self, pairs: Sequence[ChildSa]) -> list[str]:
        """The IKE SAs that were begun here, beside one that a peer of an earlier identity began."""
        theirs = {each.identity for each in pairs if not each.initiated and each.identity < self._identity}
        return sorted({each.ike_id for each in pairs if each.initiated and each.identity in theirs})
