"""The addresses of a router's NBMA interfaces, and the fate of its links, by kernel events.

The present address of an interface is the one that was present before, as long as it is there,
else its first one (a primary before a secondary).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from dmvpn_lab.linux.address import Address, address_event, list_addresses
from dmvpn_lab.linux.link import Link, link_event, list_links
from dmvpn_lab.linux.netlink import EventsLost, Group, Kind, Message, Netlink, NetlinkEvents


@dataclass(slots=True)
class Changes:
    """What happened since the last look."""

    addresses: dict[str, IPv4Address | None] = field(default_factory=dict)
    """Interface -> its new present address, of those that were asked for."""
    gone: set[int] = field(default_factory=set)
    """Indexes of links that were removed."""
    up: set[int] = field(default_factory=set)
    """Indexes of links that were set up, having been down."""


class SourceWatch:
    """Which address each of some interfaces has now; `read` says what changed."""

    def __init__(self, netlink: Netlink, interfaces: Iterable[str]) -> None:
        self._netlink = netlink
        # Subscribed before the first look: nothing falls in between.
        self._events = NetlinkEvents([Group.LINK, Group.IPV4_IFADDR])
        self._links: dict[int, Link] = {}
        self._addresses: dict[int, list[Address]] = {}
        self._wanted = frozenset(interfaces)
        self.present: dict[str, IPv4Address | None] = dict.fromkeys(self._wanted)
        """Interface -> its present address."""
        self._reload(Changes())
        self._settle()

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._events.fileno()

    def close(self) -> None:
        """Stop watching."""
        self._events.close()

    def read(self) -> Changes:
        """Take the events that are there. Several changes of an address in one go count as one."""
        changes = Changes()
        try:
            for message in self._events.read():
                self._take(message, changes)
        except EventsLost:
            self._reload(changes)
        changes.addresses = self._settle()
        return changes

    def _take(self, message: Message, changes: Changes) -> None:
        link = link_event(message)
        if link is not None:
            before = self._links.get(link.index)
            if message.kind == Kind.DELLINK:
                self._links.pop(link.index, None)
                self._addresses.pop(link.index, None)
                changes.gone.add(link.index)
                return
            self._links[link.index] = link
            if link.up and before is not None and not before.up:
                changes.up.add(link.index)
            return
        address = address_event(message)
        if address is None:
            return
        known = self._addresses.setdefault(address.index, [])
        # An event for a known address (a renewed lease, a promoted secondary) replaces it.
        known[:] = [each for each in known if each.interface != address.interface]
        if message.kind == Kind.NEWADDR:
            known.append(address)

    def _reload(self, changes: Changes) -> None:
        before = self._links
        self._links = {link.index: link for link in list_links(self._netlink)}
        changes.gone |= before.keys() - self._links.keys()
        changes.up |= {i for i, link in self._links.items() if link.up and i in before}
        self._addresses = {}
        for address in list_addresses(self._netlink):
            self._addresses.setdefault(address.index, []).append(address)

    def _settle(self) -> dict[str, IPv4Address | None]:
        """Choose the present addresses; returns those that changed."""
        index_of = {link.name: index for index, link in self._links.items()}
        changed: dict[str, IPv4Address | None] = {}
        for name in self._wanted:
            addresses = self._addresses.get(index_of.get(name, 0), [])
            chosen = choose(addresses, self.present[name])
            if chosen != self.present[name]:
                changed[name] = self.present[name] = chosen
        return changed


def choose(addresses: list[Address], present: IPv4Address | None) -> IPv4Address | None:
    """The NBMA address among those of an interface."""
    if any(each.ip == present for each in addresses):
        return present
    for each in sorted(addresses, key=lambda each: each.secondary):
        return each.ip
    return None
