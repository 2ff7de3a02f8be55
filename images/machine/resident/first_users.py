"""The first users of what Linux changes its own code for: no lab is the first one, or the last.

Code that is rarely needed is jumped over until somebody needs it, and then the kernel writes over the jump
(static keys): for a packet filter's first hook, for the first socket that wants the time of arrival (as
ping's does), for the first control group that counts memory. While it writes, a breakpoint stands there.
QEMU before 8.1 can miss the change where another emulated processor is translating that code (QEMU's issue
404): that one meets the breakpoint for ever, and the machine hangs. So each of these has its first user
here, and the sockets and the packet filter stay.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

PROCESSORS = "/sys/devices/system/cpu"
CONTROL_GROUPS = "/sys/fs/cgroup"
NAME = "first-users"
SO_TIMESTAMP = 29
UDP_ENCAP, UDP_ENCAP_ESPINUDP = 100, 2
"""linux/udp.h."""
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


def hold() -> None:
    """Make them all; a process that does nothing else keeps them. Raises OSError when it could not."""
    ready, made = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        with one_processor():
            control_group()
            packet_filter()
            kept = sockets()
        os.write(made, b".")
        os.close(made)
        while kept:
            signal.pause()
    os.close(made)
    with open(ready, "rb") as answer:
        if not answer.read(1):
            raise OSError("no first users: see above")


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Nobody else is translating anything."""
    others = sorted(Path(PROCESSORS).glob("cpu[1-9]*/online"))
    for each in others:
        each.write_text("0")
    try:
        yield
    finally:
        for each in others:
            each.write_text("1")


def control_group() -> None:
    """One that counts memory, for a moment only: the code stays as it was written for it.

    To count costs a lab half as much processor time again, so no group does it until Docker's do.
    """
    root = Path(CONTROL_GROUPS)
    control, group = root / "cgroup.subtree_control", root / NAME
    control.write_text("+memory")
    group.mkdir()
    group.rmdir()
    control.write_text("-memory")


def packet_filter() -> None:
    """A namespace with every hook of IPv4 and IPv6."""
    chains = (f"chain {hook} {{ type filter hook {hook} priority 0; counter; }};" for hook in HOOKS)
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    rules = f"table inet {NAME} {{ {' '.join(chains)} }}"
    subprocess.run(["ip", "netns", "exec", NAME, "nft", rules], check=True)


def sockets() -> list[socket.socket]:
    """Like ping's, and like those on which strongSwan gets ESP in UDP."""
    timed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    timed.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
    made = [timed]
    for family in (socket.AF_INET, socket.AF_INET6):
        encapsulated = socket.socket(family, socket.SOCK_DGRAM)
        encapsulated.setsockopt(socket.IPPROTO_UDP, UDP_ENCAP, UDP_ENCAP_ESPINUDP)
        made.append(encapsulated)
    return made
