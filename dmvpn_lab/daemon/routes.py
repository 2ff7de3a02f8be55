"""The routes of one of our routing protocols in the kernel.

They stay when the agent ends. The next agent finds them, and takes away what its neighbours have
not said again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network

from dmvpn_lab.linux import overlay_default, rib
from dmvpn_lab.linux.netlink import Netlink, Request


class Routes:
    """Puts and removes routes, and knows which were there before."""

    def __init__(
        self,
        netlink: Netlink,
        owner: rib.Owner,
        incoming: Mapping[str, IPv4Interface],
        counters: Counter[str],
        log: logging.Logger,
    ) -> None:
        """`incoming`: the interfaces for whose packets a default route counts, with their addresses."""
        self._netlink = netlink
        self._owner = owner
        self._incoming = incoming
        self._counters = counters
        self._log = log
        self._rules = False
        self.inherited = rib.present(netlink, owner)
        """Of an earlier agent, and not said again yet."""

    def put(self, prefix: IPv4Network, hops: Sequence[rib.Hop]) -> None:
        """Have a route; without next hops it discards."""
        self.inherited.discard(prefix)
        if prefix.prefixlen == 0 and not self._rules:
            overlay_default.begin(self._netlink, self._incoming)
            self._rules = True
        self._apply(f"add route {prefix}", rib.put(self._owner, prefix, hops), ())

    def remove(self, prefix: IPv4Network) -> None:
        """Have it no more; the kernel may have removed it with its interface."""
        self.inherited.discard(prefix)
        self._apply(f"remove route {prefix}", rib.delete(self._owner, prefix), rib.ABSENT)

    def settle(self) -> None:
        """What an earlier agent installed and nobody has announced again is gone from the network."""
        for prefix in tuple(self.inherited):
            self.remove(prefix)

    def _apply(self, what: str, request: Request, ignore: tuple[int, ...]) -> None:
        (number,) = self._netlink.apply([request])
        if number and number not in ignore:
            self._counters["route-refused"] += 1
            self._log.error("%s: errno %d", what, number)
