"""Octets, signals and the terminal's size between the thin client and a command that runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import socket
import struct
import termios

import wire
from wire import Kind

GRACE_S = 10.0
"""How long a command whose client is gone may clean up."""


def relay(connection: socket.socket, child: int, ends: dict) -> int:
    """Carry bytes both ways until the command has ended and its output is out."""
    selector = selectors.DefaultSelector()
    pidfd = os.pidfd_open(child)
    selector.register(connection, selectors.EVENT_READ)
    selector.register(pidfd, selectors.EVENT_READ)
    selector.register(ends["out"], selectors.EVENT_READ)
    if ends["err"] is not None:
        selector.register(ends["err"], selectors.EVENT_READ)
    ended = False
    while not ended:
        for key, _ in selector.select():
            if key.fileobj is connection:
                if not from_client(connection, child, ends):
                    selector.unregister(connection)
                    hang_up(child)
            elif key.fileobj == pidfd:
                ended = True
            elif not to_client(connection, key.fd, ends):
                selector.unregister(key.fd)
    drain(connection, ends)
    _pid, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def from_client(connection: socket.socket, child: int, ends: dict) -> bool:
    """One frame from the client; False when the client is gone."""
    try:
        frame = wire.receive_frame(connection)
    except (OSError, wire.WireError):
        return False
    if frame is None:
        return False
    kind, body = frame
    if kind is Kind.STDIN:
        if body:
            with contextlib.suppress(OSError):
                os.write(ends["in"], body)
        elif ends["err"] is not None and ends["in"] is not None:
            os.close(ends["in"])
            ends["in"] = None
    elif kind is Kind.SIGNAL:
        ends["signals"] += pass_signal(child, json.loads(body)["number"])
    elif kind is Kind.WINSIZE and ends["err"] is None:
        size = json.loads(body)
        resize(ends["out"], size["rows"], size["columns"])
    return True


def pass_signal(child: int, number: int) -> bool:
    """A signal to a command and all that it has started; False when the command has ended.

    Between its fork and its own session it has no group yet, and gets it alone.
    """
    if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
        return False
    try:
        os.killpg(child, number)
    except ProcessLookupError:
        os.kill(child, number)  # it is not waited for yet: its PID is its own
    return True


def to_client(connection: socket.socket, fd: int, ends: dict) -> bool:
    """One piece of output; False at its end."""
    try:
        data = os.read(fd, 1 << 16)
    except OSError:
        return False
    if not data:
        return False
    kind = Kind.STDERR if fd == ends["err"] else Kind.STDOUT
    with contextlib.suppress(OSError):
        wire.send_frame(connection, kind, data)
    return True


def drain(connection: socket.socket, ends: dict) -> None:
    """What is still in the pipes when the command has ended (a grandchild may hold them open)."""
    for fd in (ends["out"], ends["err"]):
        if fd is not None:
            os.set_blocking(fd, False)
            while to_client(connection, fd, ends):
                pass


def hang_up(child: int) -> None:
    """The client is gone: let the command clean up, then end it."""
    for number, patience_s in ((signal.SIGINT, GRACE_S), (signal.SIGKILL, 1.0)):
        if not pass_signal(child, number):
            return
        poll = selectors.DefaultSelector()
        poll.register(os.pidfd_open(child), selectors.EVENT_READ)
        if poll.select(patience_s):
            return


def resize(fd: int, rows: int, columns: int) -> None:
    """Set a terminal's size."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
