"""The routes that the kernel has from us, so that only changes are carried out."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from dmvpn_lab.eigrp import announce
from dmvpn_lab.eigrp.actions import Action, InstallRoute, NextHop, RemoveRoute
from dmvpn_lab.eigrp.dual import Topology


class Installed:
    """Destination -> the ways that the kernel has."""

    def __init__(self) -> None:
        self._routes: dict[IPv4Network, tuple[NextHop, ...]] = {}

    def changes(self, prefixes: Iterable[IPv4Network], topology: Topology) -> list[Action]:
        """What makes the kernel agree with the topology table on these destinations."""
        actions: list[Action] = []
        for prefix in prefixes:
            hops = announce.next_hops(topology.entries.get(prefix))
            if hops is None:
                if self._routes.pop(prefix, None) is not None:
                    actions.append(RemoveRoute(prefix))
            elif self._routes.get(prefix) != hops:
                self._routes[prefix] = hops
                actions.append(InstallRoute(prefix, hops))
        return actions
