"""Network namespaces for tests: made, wired and entered from the test's own process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dmvpn_lab.linux.namespaces import CLONE_NEWNET, unshare

OWN = "/proc/self/ns/net"


class Netns:
    """A network namespace, kept by a file descriptor: it ends with the test's process."""

    def __init__(self) -> None:
        home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWNET)
            self.fd = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        finally:
            _setns(home)
            os.close(home)

    @property
    def path(self) -> str:
        """What `ip ... netns` takes."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside: sockets and children made meanwhile are of this namespace."""
        home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        _setns(self.fd)
        try:
            yield
        finally:
            _setns(home)
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

    def close(self) -> None:
        """Let it go."""
        os.close(self.fd)


def wire(a: Netns, a_name: str, b: Netns, b_name: str) -> None:
    """A veth cable between two namespaces, both ends up."""
    a.ip(f"link add {a_name} type veth peer name {b_name} netns {b.path}")
    a.ip(f"link set {a_name} up")
    b.ip(f"link set {b_name} up")


def _setns(fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")
