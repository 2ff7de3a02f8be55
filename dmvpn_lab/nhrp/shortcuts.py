"""Shortcuts of phase 3: prefixes behind other spokes, learnt when the hub says that there is a better way.

    Traffic Indication -> is the source ours, the way the hub's? -> Resolution Request for the
    destination -> Reply of the spoke that has it -> a route to its prefix, by its tunnel address

A shortcut lives as long as the binding of its next hop, and as the route that it shortens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress, IpNetwork, addresses_of, network_of
from dmvpn_lab.nhrp import counters, nhs
from dmvpn_lab.nhrp.actions import Action, FindRoute, InstallShortcut, Notify, RemoveShortcut
from dmvpn_lab.nhrp.packet import Packet
from dmvpn_lab.nhrp.route import Route
from dmvpn_lab.nhrp.tunnel import Tunnel

LIMIT = 1024
"""Shortcuts of a tunnel at the most, and indications that wait for a look at the routes."""

Key = tuple[str, IpNetwork]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """One prefix and its next hop."""

    interface: str
    prefix: IpNetwork
    via: IpAddress
    """Tunnel address of the spoke behind which the prefix is."""
    wanted: IpAddress
    """The address that was asked for."""
    created: float


@dataclass(slots=True)
class Look:
    """An indication, or a shortcut, that waits for what the routing table says."""

    tunnel: Tunnel
    source: IpAddress | None
    """Still to be found to be ours; None: it is."""
    wanted: IpAddress
    shortcut: Shortcut | None = None
    """Whose parent route is looked for."""


class Shortcuts:
    """The shortcuts of all tunnels of a router."""

    def __init__(self) -> None:
        self._shortcuts: dict[Key, Shortcut] = {}
        self._looks: dict[int, Look] = {}
        self._looking: set[tuple[str, IpAddress]] = set()
        self._token = 0

    def __iter__(self) -> Iterator[Shortcut]:
        return iter(self._shortcuts.values())

    # --- from an indication to a question ---------------------------------------------------------

    def indicated(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address) -> list[Action]:
        """The hub says that a packet of ours has a shorter way. Only a server of ours may say so."""
        about = addresses_of(packet.payload)
        if (
            not tunnel.config.shortcut
            or not tunnel.config.is_server(outer)
            or about is None
            or not tunnel.config.speaks(about[0])
        ):
            tunnel.counters[counters.INDICATION_IGNORED] += 1
            return []
        source, wanted = about
        known = (tunnel.name, wanted) in self._looking or self.covering(tunnel.name, wanted) is not None
        if known or wanted in tunnel.config.address.network or len(self._looks) >= LIMIT:
            return []
        return [self._look(Look(tunnel, source, wanted), source)]

    def _look(self, look: Look, address: IpAddress) -> FindRoute:
        self._token += 1
        self._looks[self._token] = look
        if look.shortcut is None:
            self._looking.add((look.tunnel.name, look.wanted))
        return FindRoute(self._token, address)

    def found(
        self, token: int, route: Route | None, tunnels: dict[str, Tunnel]
    ) -> tuple[list[Action], tuple[Tunnel, IpAddress, IpNetwork] | None]:
        """What the routing table says: actions, and what to ask a server for, with the parent's prefix."""
        look = self._looks.pop(token, None)
        if look is None:
            return [], None
        self._looking.discard((look.tunnel.name, look.wanted))
        if look.shortcut is not None:
            lives = route is not None and route.interface == look.tunnel.name
            return ([] if lives else self.remove(look.shortcut, "the route that it shortened is gone")), None
        if look.source is not None:
            # What came in by a tunnel is another router's traffic, and its shortcut.
            if route is None or route.interface in tunnels:
                look.tunnel.counters[counters.INDICATION_IGNORED] += 1
                return [], None
            return [self._look(Look(look.tunnel, None, look.wanted), look.wanted)], None
        if route is None or route.interface != look.tunnel.name:
            return [], None
        return [], (look.tunnel, look.wanted, route.prefix)

    # --- from an answer to a route ----------------------------------------------------------------

    def add(
        self,
        tunnel: Tunnel,
        wanted: IpAddress,
        parent: IpNetwork,
        length: int,
        via: IpAddress,
        now: float,
    ) -> list[Action]:
        """A spoke says that it has a prefix: never more than the route that it shortens."""
        config = tunnel.config
        bits = config.bits if config.whole(length) else min(length, config.bits)
        prefix = network_of(wanted, max(bits, parent.prefixlen))
        previous = self._shortcuts.get((tunnel.name, prefix))
        if previous is None and len(self._shortcuts) >= LIMIT:
            return []
        shortcut = Shortcut(tunnel.name, prefix, via, wanted, now)
        if previous is not None and previous.via == via:
            return []
        self._shortcuts[tunnel.name, prefix] = shortcut
        facts = {"interface": tunnel.name, "prefix": str(prefix), "via": str(via)}
        return [InstallShortcut(tunnel.name, prefix, via), Notify("shortcut-added", facts)]

    def covering(self, interface: str, address: IpAddress) -> Shortcut | None:
        """The shortcut that an address takes."""
        for length in range(address.max_prefixlen, -1, -1):
            found = self._shortcuts.get((interface, network_of(address, length)))
            if found is not None:
                return found
        return None

    # --- ends -------------------------------------------------------------------------------------

    def of(self, interface: str) -> list[Shortcut]:
        """Those of a tunnel."""
        return [each for each in self._shortcuts.values() if each.interface == interface]

    def remove(self, shortcut: Shortcut, reason: str) -> list[Action]:
        """Packets go by the parent route again."""
        if self._shortcuts.pop((shortcut.interface, shortcut.prefix), None) is None:
            return []
        facts = {"interface": shortcut.interface, "prefix": str(shortcut.prefix),
                 "via": str(shortcut.via), "reason": reason}  # fmt: skip
        return [RemoveShortcut(shortcut.interface, shortcut.prefix), Notify("shortcut-removed", facts)]

    def next_hop_gone(self, interface: str, via: IpAddress, reason: str) -> list[Action]:
        """The binding of a next hop ended, and with it all that leads there."""
        return [action for each in self.of(interface) if each.via == via
                for action in self.remove(each, reason)]  # fmt: skip

    def purged(self, tunnel: Tunnel, request: Packet, outer: IPv4Address) -> list[Action]:
        """A purge request: the router that has a prefix says that it has it no more, or a server does."""
        actions: list[Action] = []
        for each in self.of(tunnel.name):
            binding = tunnel.cache.get(each.via)
            itself = binding is not None and binding.nbma == outer and request.source_protocol == each.via
            told = tunnel.config.is_server(outer) and nhs.may_end(request, each.via, tunnel.config)
            if (itself or told) and nhs.purges_of(request, each.prefix, tunnel.config):
                actions += self.remove(each, "purged")
        return actions

    def routes_changed(self, tunnels: dict[str, Tunnel]) -> list[Action]:
        """Look whether each shortcut still shortens something."""
        return [self._look(Look(tunnels[each.interface].part(each.via), None, each.wanted, each), each.wanted)
                for each in self._shortcuts.values()]  # fmt: skip
