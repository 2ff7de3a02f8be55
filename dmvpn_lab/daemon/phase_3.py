"""The shell's part of phase 3: logged packets in, routes looked up, shortcut routes out."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable

from dmvpn_lab.daemon.port import Port
from dmvpn_lab.linux import shortcut_route
from dmvpn_lab.linux.netlink import Netlink
from dmvpn_lab.linux.nflog import Nflog
from dmvpn_lab.linux.route_watch import RouteWatch
from dmvpn_lab.nhrp.actions import FindRoute, InstallShortcut, RemoveShortcut
from dmvpn_lab.nhrp.config import TunnelConfig
from dmvpn_lab.nhrp.route import Route

NFLOG_GROUP = 0x2001
"""Of the rule in `render/nft.py`."""
AGAIN_S = 0.5
"""After an event of the routes they are looked at once more: the kernel tells of a removal before it removes
(`fib_table_delete`), and on a busy host it may be a while until it has."""


class Phase3:
    """What the tunnels of a router need of the kernel for redirects and shortcuts, if they do."""

    def __init__(self, netlink: Netlink, tunnels: tuple[TunnelConfig, ...], log: logging.Logger) -> None:
        """Raises DmvpnLabError when the kernel refuses."""
        self._netlink = netlink
        self._log = log
        self.log_socket = Nflog(NFLOG_GROUP) if any(each.redirect for each in tunnels) else None
        self.watch: RouteWatch | None = None
        """Readable when routes changed; None where nothing rests on them."""
        self._again: asyncio.TimerHandle | None = None
        ipv6 = any(part.address.version == 6 for each in tunnels for part in each.parts())
        if any(each.shortcut for each in tunnels):
            shortcut_route.begin(netlink)
            if ipv6:
                shortcut_route.begin(netlink, socket.AF_INET6)
        if any(each.shortcut or each.redirect for each in tunnels):
            self.watch = RouteWatch(ipv6=ipv6, links=True)

    def follow(self, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]) -> None:
        """Call `changed` whenever routes did, and once more a moment later."""
        watch = self.watch
        if watch is None:
            return

        def told() -> None:
            watch.drain()
            changed()
            if self._again is not None:
                self._again.cancel()
            self._again = loop.call_later(AGAIN_S, changed)

        loop.add_reader(watch.fileno(), told)

    def find(self, action: FindRoute) -> Route | None:
        """What the main table says."""
        found = shortcut_route.find(self._netlink, action.address)
        if found is None:
            return None
        try:
            name = socket.if_indextoname(found.index)
        except OSError:
            return None  # it has gone since
        return Route(found.prefix, name, found.gateway)

    def change(self, port: Port | None, action: InstallShortcut | RemoveShortcut) -> None:
        """Add or remove a shortcut. A link that has gone has taken its own with it."""
        if port is None:
            return
        if isinstance(action, InstallShortcut):
            request = shortcut_route.put_shortcut(action.prefix, action.via, port.index)
        else:
            request = shortcut_route.delete_shortcut(action.prefix)
        (number,) = self._netlink.apply([request])
        gone = isinstance(action, RemoveShortcut) and number in (errno.ESRCH, errno.ENODEV)
        if number and not gone:
            self._log.error("%s: the kernel refused shortcut %s: %s",
                            action.interface, action.prefix, os.strerror(number))  # fmt: skip

    def close(self) -> None:
        """Close the sockets; shortcuts stay until the next agent begins."""
        if self._again is not None:
            self._again.cancel()
        for each in (self.log_socket, self.watch):
            if each is not None:
                each.close()
