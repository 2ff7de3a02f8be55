"""Network namespaces for tests: made, wired and entered from the test's own process.

Wiring goes by netlink and not by `ip`: a program costs 0.1 s and more under emulation.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from dmvpn_lab.linux.address import delete_address, put_address
from dmvpn_lab.linux.link import IFF_UP, IFINFOMSG, IFLA_IFNAME, find_link, put_link, set_link
from dmvpn_lab.linux.namespaces import CLONE_NEWNET, unshare
from dmvpn_lab.linux.netlink import Group, Netlink, NetlinkEvents, attribute
from dmvpn_lab.linux.route import put_route

OWN = "/proc/self/ns/net"
VETH_INFO_PEER = 1
IFLA_NET_NS_FD = 28
IFF_RUNNING = 0x40
PATIENCE_S = 15.0
DEFAULT = IPv4Network("0.0.0.0/0")


class Netns:
    """A network namespace, kept by a file descriptor: it ends with the test's process."""

    def __init__(self) -> None:
        home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWNET)
            self.fd = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
            self.netlink = Netlink()
        finally:
            enter(home)
            os.close(home)
        self.up("lo")

    @property
    def path(self) -> str:
        """What `ip ... netns` takes."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside: sockets and children made meanwhile are of this namespace."""
        home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        enter(self.fd)
        try:
            yield
        finally:
            enter(home)
            os.close(home)

    def run(self, *argv: str, text: str | None = None) -> str:
        """A program's output; AssertionError with what it said when it fails."""
        with self.entered():
            done = subprocess.run(argv, capture_output=True, text=True, input=text, check=False)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stdout}{done.stderr}"
        return done.stdout

    def ip(self, words: str, batch: str | None = None) -> str:
        """`ip` with the words of a line."""
        return self.run("ip", *words.split(), text=batch)

    def sysctl(self, name: str, value: str) -> None:
        """Write a setting of this namespace."""
        with self.entered():
            Path("/proc/sys", name.replace(".", "/")).write_text(value)

    def index(self, link: str) -> int:
        """The number of a link."""
        found = find_link(self.netlink, link)
        assert found is not None, f"no link {link}"
        return found.index

    def up(self, link: str) -> None:
        """Set a link up."""
        set_link(self.netlink, self.index(link), link, flags=IFF_UP)

    def running(self, link: str) -> None:
        """Wait, by event, until a link that was set up carries packets; before, it drops them."""
        with self.entered():
            events = NetlinkEvents([Group.LINK])
        try:
            deadline = time.monotonic() + PATIENCE_S
            while True:
                found = find_link(self.netlink, link)
                if found is not None and found.flags & IFF_RUNNING:
                    return
                left_s = deadline - time.monotonic()
                assert left_s > 0, f"{link} does not run: {found}"
                select.select([events], [], [], left_s)
                events.read()
        finally:
            events.close()

    def down(self, link: str) -> None:
        """Set a link down."""
        set_link(self.netlink, self.index(link), link, clear=IFF_UP)

    def add(self, link: str, address: str) -> None:
        """Give a link an address with its prefix length."""
        put_address(self.netlink, self.index(link), IPv4Interface(address))

    def remove(self, link: str, address: str) -> None:
        """Take an address from a link."""
        delete_address(self.netlink, self.index(link), IPv4Interface(address))

    def route(self, via: IPv4Address | str, destination: IPv4Network = DEFAULT) -> None:
        """Add or replace a route."""
        put_route(self.netlink, destination, IPv4Address(via))

    def close(self) -> None:
        """Let it go."""
        self.netlink.close()
        os.close(self.fd)


def wire(a: Netns, a_name: str, b: Netns, b_name: str) -> None:
    """A veth cable between two namespaces, both ends up and running."""
    peer = IFINFOMSG.pack(0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, b_name.encode() + b"\0")
    peer += attribute(IFLA_NET_NS_FD, struct.pack("=I", b.fd))
    put_link(a.netlink, a_name, "veth", attribute(VETH_INFO_PEER, peer), create=True)
    a.up(a_name)
    b.up(b_name)
    a.running(a_name)
    b.running(b_name)


def enter(fd: int) -> None:
    """Make the calling thread a member of the network namespace behind a descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")
