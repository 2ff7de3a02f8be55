"""Sets up a node's interfaces and routes, waiting by event for those that are not there yet."""

from __future__ import annotations

import select
import time
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

from dmvpn_lab.errors import LabError
from dmvpn_lab.linux import source_rule
from dmvpn_lab.linux.address import put_address
from dmvpn_lab.linux.link import IFF_UP, Link, find_link, link_event, list_links, set_link
from dmvpn_lab.linux.netlink import EventsLost, Group, Kind, Netlink, NetlinkEvents
from dmvpn_lab.linux.route import put_route
from dmvpn_lab.node.config import Interface, NodeConfig

WORD_AFTER_S = 10.0
"""A node that still waits says for what: a wrong name is waited for, too."""


def set_up(config: NodeConfig) -> None:
    """Configure every interface, then the routes. Returns when all are there, and up if they are not held.

    Raises LabError when an interface does not come, NetlinkError when the kernel refuses one.
    """
    with Netlink() as netlink:
        loopback = find_link(netlink, "lo")
        if loopback is not None:
            set_link(netlink, loopback.index, "lo", flags=IFF_UP)
        links = _wait_for(netlink, {each.name for each in config.interfaces}, config.patience_s)
        for each in config.interfaces:
            _configure(netlink, each, links[each.name])
        for number, route in enumerate(config.routes):
            everywhere = "::/0" if ":" in route.via else "0.0.0.0/0"
            network = ip_network(everywhere if route.destination == "default" else route.destination)
            if route.source is None:
                put_route(netlink, network, ip_address(route.via))
            else:
                table = source_rule.TABLES + number
                source_rule.put_rule(netlink, IPv4Address(route.source), table)
                put_route(netlink, network, ip_address(route.via), table)


def release(config: NodeConfig) -> None:
    """Bring up the lines that were held: whoever is at their other end sees the carrier come."""
    held = {each.name for each in config.interfaces if each.held}
    if not held:
        return
    with Netlink() as netlink:
        for link in list_links(netlink):
            if link.name in held:
                set_link(netlink, link.index, link.name, flags=IFF_UP)


def _wait_for(netlink: Netlink, names: set[str], patience_s: float) -> dict[str, Link]:
    """The links of these names, once all are there."""
    deadline = time.monotonic() + patience_s
    word_at: float | None = time.monotonic() + WORD_AFTER_S
    events = NetlinkEvents([Group.LINK])  # before the first look: nothing falls in between
    try:
        found = {link.name: link for link in list_links(netlink)}
        while missing := ", ".join(sorted(names - found.keys())):
            now = time.monotonic()
            if now >= deadline:
                raise LabError(
                    f"no interface {missing} after {patience_s:.0f} s; there are {', '.join(found)}"
                )
            if word_at is not None and now >= word_at:
                print(f"dmvpn-node: waiting for {missing}; there are {', '.join(found)}", flush=True)
                word_at = None
            until = deadline if word_at is None else min(deadline, word_at)
            if not select.select([events], [], [], until - now)[0]:
                continue
            try:
                for message in events.read():
                    link = link_event(message)
                    if link is not None and message.kind == Kind.NEWLINK:
                        found[link.name] = link
            except EventsLost:
                found = {link.name: link for link in list_links(netlink)}
        return found
    finally:
        events.close()


def _configure(netlink: Netlink, interface: Interface, link: Link) -> None:
    set_link(netlink, link.index, link.name, mac=interface.mac, mtu=interface.mtu or None)
    for address in interface.addresses:
        put_address(netlink, link.index, ip_interface(address))
    if interface.held:  # also where it is up already, as containerlab makes it
        set_link(netlink, link.index, link.name, clear=IFF_UP)
    else:
        set_link(netlink, link.index, link.name, flags=IFF_UP)
