"""A wait for a route: an address that came by DHCP is of use only once its default route is there."""

from __future__ import annotations

from dmvpn_lab.linux.netlink import EventsLost, Group, NetlinkEvents


class RouteWatch:
    """Readable whenever the IPv4 routes (or also those of IPv6) changed.

    Opened only while somebody waits for one."""

    def __init__(self, *, ipv6: bool = False) -> None:
        self._events = NetlinkEvents([Group.IPV4_ROUTE, *([Group.IPV6_ROUTE] if ipv6 else [])])

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
