"""Which of some interfaces carry packets with a given address, by kernel events."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface

from dmvpn_lab.linux.address import list_addresses
from dmvpn_lab.linux.link import IFF_UP, Link, link_event, list_links
from dmvpn_lab.linux.netlink import EventsLost, Group, Kind, Netlink, NetlinkEvents

IFF_RUNNING = 0x40


class InterfaceWatch:
    """Watches interfaces by name, each with the address that it must have."""

    def __init__(self, netlink: Netlink, wanted: Mapping[str, IPv4Interface]) -> None:
        self._netlink = netlink
        self._wanted = dict(wanted)
        # Subscribed before the first look: nothing falls in between.
        self._events = NetlinkEvents([Group.LINK, Group.IPV4_IFADDR])

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._events.fileno()

    def close(self) -> None:
        """Stop watching."""
        self._events.close()

    def usable(self) -> dict[str, int]:
        """Name -> index of those that carry packets now."""
        links = [link for link in list_links(self._netlink) if link.name in self._wanted and _works(link)]
        addresses = {(each.index, each.interface) for each in list_addresses(self._netlink)}
        return {link.name: link.index for link in links if (link.index, self._wanted[link.name]) in addresses}

    def read(self) -> set[str]:
        """Take the events that are there; the interfaces that did not carry packets for a moment.

        The kernel removes the routes of such an interface, though it may work again by now.
        """
        try:
            messages = self._events.read()
        except EventsLost:
            return set(self._wanted)
        links = [(message.kind, link_event(message)) for message in messages]
        return {
            link.name
            for kind, link in links
            if link is not None and link.name in self._wanted and (kind == Kind.DELLINK or not _works(link))
        }


def _works(link: Link) -> bool:
    return link.flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING
