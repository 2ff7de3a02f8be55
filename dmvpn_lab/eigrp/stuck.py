"""Stuck in active (RFC 7868 section 4.4.1): neighbours that owe a reply are asked how it goes.

Half the active time after the query, and up to twice more, each gets an SIA-query; who does not
answer one, or has not replied after the third, is given up.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from dmvpn_lab.eigrp.constants import SIA_QUERIES
from dmvpn_lab.eigrp.dual import Peer


class Stuck:
    """Who was asked how often, and whether the last question was answered."""

    def __init__(self) -> None:
        self._asked: dict[IPv4Network, dict[Peer, tuple[int, bool]]] = {}

    def forget(self, prefix: IPv4Network) -> None:
        """Its computation ended, or another began."""
        self._asked.pop(prefix, None)

    def answered(self, prefix: IPv4Network, peer: Peer) -> None:
        """An SIA-reply came."""
        asked = self._asked.get(prefix, {})
        if peer in asked:
            asked[peer] = (asked[peer][0], True)

    def overdue(self, prefix: IPv4Network, waiting: Iterable[Peer]) -> tuple[list[Peer], list[Peer]]:
        """Half the active time is over: whom to ask (again), and whom to give up."""
        asked = self._asked.setdefault(prefix, {})
        ask, lost = [], []
        for peer in waiting:
            sent, answered = asked.get(peer, (0, True))
            if sent >= SIA_QUERIES or not answered:
                lost.append(peer)
            else:
                asked[peer] = (sent + 1, False)
                ask.append(peer)
        return ask, lost
