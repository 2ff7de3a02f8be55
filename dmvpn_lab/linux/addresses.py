"""Tells the IPv4 address of interfaces, and every change of it, from the kernel's events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import IPv4Address
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.rtnl import RTMGRP_IPV4_IFADDR, RTMGRP_LINK

ADDED, REMOVED, RENAMED = "RTM_NEWADDR", "RTM_DELADDR", "RTM_NEWLINK"


class AddressBook:
    """The addresses of all interfaces of this network namespace."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._addresses: dict[int, list[IPv4Address]] = {}
        self._current: dict[str, IPv4Address | None] = {}

    def current(self, name: str) -> IPv4Address | None:
        """The address of an interface that a tunnel should use as its source.

        An address stays the current one as long as the interface has it; then it is the first of
        those that are there.
        """
        index = next((index for index, each in self._names.items() if each == name), None)
        there = self._addresses.get(index, []) if index is not None else []
        if self._current.get(name) not in there:
            self._current[name] = there[0] if there else None
        return self._current[name]

    def learn(self, message: Any) -> None:
        """Take in one netlink message."""
        event = message.get("event")
        if event == RENAMED:
            self._names[message["index"]] = message.get_attr("IFLA_IFNAME")
        elif event in (ADDED, REMOVED) and message["family"] == 2:
            address = IPv4Address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))
            addresses = self._addresses.setdefault(message["index"], [])
            if event == ADDED and address not in addresses:
                addresses.append(address)
            elif event == REMOVED and address in addresses:
                addresses.remove(address)


async def follow(watcher: AsyncIPRoute, book: AddressBook) -> AsyncIterator[None]:
    """Yield once when the book is complete, then after each change of any address or link.

    Subscribes before it reads the present state, so that no change falls in between.
    """
    await watcher.bind(RTMGRP_IPV4_IFADDR | RTMGRP_LINK)
    async with AsyncIPRoute() as reader:
        async for message in await reader.get_links():
            book.learn(message)
        async for message in await reader.get_addr(family=2):
            book.learn(message)
    yield
    while True:  # get() ends after each batch
        async for message in watcher.get():
            book.learn(message)
            yield
