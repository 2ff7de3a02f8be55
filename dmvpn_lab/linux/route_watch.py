"""Word of routes that change.

Some wait for one: an address that came by DHCP is of use only once its default route is there. Others
ask whether a route that they rest on is there still.
"""

from __future__ import annotations

from dmvpn_lab.linux.netlink import EventsLost, Group, NetlinkEvents


class RouteWatch:
    """Readable whenever the IPv4 routes (or also those of IPv6) changed.

    With `links` also when a link did: of the IPv4 routes that go with one the kernel does not tell.
    """

    def __init__(self, *, ipv6: bool = False, links: bool = False) -> None:
        further = ((Group.IPV6_ROUTE, ipv6), (Group.LINK, links))
        self._events = NetlinkEvents([Group.IPV4_ROUTE, *(group for group, wanted in further if wanted)])

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._events.fileno()

    def close(self) -> None:
        """Stop watching."""
        self._events.close()

    def drain(self) -> None:
        """Forget the events that are there; what they change is asked of the kernel."""
        try:
            self._events.read()
        except EventsLost:
            return
