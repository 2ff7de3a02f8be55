"""The thin client: runs a command in the machine as if it ran here.

Arguments, files, terminal, signals and exit code cross; see wire.py for the frames.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import sys
import tarfile
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dmvpn_lab.errors import HostError
from dmvpn_lab.machine import bundle, wire
from dmvpn_lab.machine.paths import command_runs
from dmvpn_lab.machine.wire import Kind

PASSED_ON = ("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CI")
LABS = "/run/dmvpn-lab/labs"
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
T = TypeVar("T")
OUTPUT = (Kind.STDOUT, Kind.STDERR, Kind.EXIT)
LISTED = 1 << 16
"""Octets of the names of labs."""


def ping(port: int, token: str, timeout_s: float) -> bool:
    """Whether a resident answers there. It takes the clock and randomness along."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            wire.send_json(connection, Kind.HELLO, {**_greeting(token), "module": None, "argv": []})
            return wire.receive_frame(connection, _largest(Kind.EXIT)) is not None
    except (OSError, wire.WireError):
        return False


def labs_in(port: int, token: str, timeout_s: float = 20.0) -> list[str]:
    """The labs that run there; none when it does not answer."""
    nothing = Writable(None, (), {}).wish() | {"directories": [LABS]}
    hello = {**_greeting(token), **_command(None, ["ls", LABS], Path("/run"), interactive=False), **nothing}
    listed, largest = b"", _largest(*OUTPUT) | {Kind.NEED: wire.WORDS}
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            wire.send_json(connection, Kind.HELLO, hello)
            while (frame := wire.receive_frame(connection, largest)) and frame[0] is not Kind.EXIT:
                if frame[0] is Kind.NEED:
                    wire.send_frame(connection, Kind.FILES, bundle.pack([]))
                elif frame[0] is Kind.STDOUT:
                    listed += frame[1]
                if len(listed) > LISTED:
                    return []
    except (OSError, wire.WireError):
        return []
    return listed.decode().split()


def run(port: int, token: str, module: str | None, argv: Sequence[str], brought: Sequence[str] = ()) -> int:
    """Run `python3 -m module argv...` (or the program argv[0]) there; returns its exit code.

    `brought` are files or folders that it reads besides those named in `argv`.
    """
    cwd = Path.cwd()
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    manifest = bundle.manifest(module, [*argv, *brought], cwd)
    outputs = bundle.outputs(module, argv, cwd)
    below = cwd if module is None and str(cwd) not in bundle.SYSTEM else None
    writable = Writable(below, outputs, manifest)
    hello = {**_greeting(token), **_command(module, argv, cwd, interactive=interactive), **writable.wish()}
    with command_runs(), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.settimeout(None)
        try:
            wire.send_json(connection, Kind.HELLO, hello)
            wire.send_frame(connection, Kind.FILES, bundle.pack(_wanted(connection, manifest)))
            # Who works at a terminal types to programs; Ctrl-C to a command of ours is a signal, as here.
            keys = not interactive or module is None or argv[0] in bundle.IN_A_NODE
            with _terminal(interactive and keys):
                return _relay(connection, writable, interactive, keys)
        except wire.UnexpectedError as error:
            raise HostError(
                f"the machine sent what it should not: {error}", hint="'dmvpn-lab machine stop' ends it"
            ) from error
        except (wire.WireError, ConnectionError) as error:
            raise HostError(
                f"the machine went away: {error}", hint="the next command starts it again"
            ) from error


def _largest(*kinds: Kind) -> dict[Kind, int]:
    """The frames that are awaited: what a machine sends must not fill this host's memory."""
    return {kind: wire.LARGEST[kind] for kind in kinds}


def _wanted(connection: socket.socket, manifest: bundle.Manifest) -> list[str]:
    """Which of the files that it was told of the machine lacks."""
    all_of_them = json.dumps(list(manifest)).encode()
    answer = wire.receive_frame(connection, {Kind.NEED: len(all_of_them)})
    if answer is None:
        raise HostError("the machine does not answer", hint="run 'dmvpn-lab machine stop'")
    return [path for path in _told(answer[1], list) if path in manifest]


def _told(body: bytes, kind: type[T]) -> T:
    """What JSON of the machine says. Raises UnexpectedError."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise wire.UnexpectedError(f"no JSON: {error}") from None
    if not isinstance(told, kind):
        raise wire.UnexpectedError(f"{kind.__name__} was awaited, not {type(told).__name__}")
    return told


def _greeting(token: str) -> dict[str, Any]:
    return {"token": token, "clock": time.time(), "entropy": secrets.token_hex(64)}


def _command(module: str | None, argv: Sequence[str], cwd: Path, *, interactive: bool) -> dict[str, Any]:
    return {
        "module": module,
        "argv": list(argv),
        "path": [str(bundle.PACKAGE.parent)],
        "cwd": str(cwd),
        "env": {name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "tty": interactive,
        "winsize": _window(),
    }


@dataclass(frozen=True, slots=True)
class Writable:
    """What a command may write here."""

    below: Path | None
    """What is not hidden in this folder."""
    outputs: Sequence[str]
    sent: bundle.Manifest
    """What travelled: if it was changed here meanwhile it is kept."""

    def wish(self) -> dict[str, Any]:
        """What the resident is told of it."""
        return {
            "directories": [str(Path(file).parent) for file in self.outputs],
            "below": None if self.below is None else str(self.below),
            "outputs": self.outputs,
            "files": self.sent,
        }

    def largest(self) -> dict[Kind, int]:
        """The frames that may come while the command runs: files only where it may write some."""
        return _largest(*OUTPUT, *([Kind.WRITTEN] if self.below or self.outputs else []))

    def take(self, written: bytes) -> None:
        """Write what came back; say what was kept. Raises UnexpectedError."""
        try:
            kept = bundle.unpack(written, self.below, self.outputs, self.sent)
        except tarfile.TarError as error:
            raise wire.UnexpectedError(f"no archive: {error}") from None
        for path in kept:
            _write(2, f"dmvpn-lab: {path} was changed here meanwhile: kept as it is\n".encode())


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    signals: int
    """How many of those that were passed on it got."""

    @classmethod
    def of(cls, body: bytes) -> Ended:
        """What the resident says of it. Raises UnexpectedError."""
        told = _told(body, dict)
        match told.get("code"), told.get("signals"):
            case (int(code), int(signals)) if code >= 0 <= signals:
                return cls(code, signals)
        raise wire.UnexpectedError(f"no end of a command: {told}")


def _relay(connection: socket.socket, writable: Writable, interactive: bool, keys: bool) -> int:
    """Carry bytes both ways until the exit code comes. With `keys` the command gets what is typed.

    A signal that came when the command had ended is this process's own.
    """
    waker_r, waker_w = socket.socketpair()
    waker_w.setblocking(False)
    passed: list[int] = []
    with waker_r, waker_w:
        with _signals(waker_w, interactive):
            watched: list[Any] = [connection, waker_r, *([sys.stdin.fileno()] if keys else [])]
            ended: Ended | None = None
            while ended is None:
                ready, _, _ = select.select(watched, [], [])
                if waker_r in ready:
                    passed += _pass_signals(connection, waker_r.recv(64))
                if sys.stdin.fileno() in ready:
                    data = os.read(sys.stdin.fileno(), 1 << 16)
                    wire.send_frame(connection, Kind.STDIN, data)
                    if not data:
                        watched.remove(sys.stdin.fileno())
                if connection in ready:
                    ended = _from_machine(connection, writable)
        for number in (*passed[ended.signals :], *_unread(waker_r)):
            signal.raise_signal(number)
    return ended.code


def _from_machine(connection: socket.socket, writable: Writable) -> Ended | None:
    """Take one frame; what the resident says of a command that has ended."""
    frame = wire.receive_frame(connection, writable.largest())
    if frame is None:
        raise wire.WireError("no exit code came")
    kind, body = frame
    if kind is Kind.STDOUT:
        if not _write(1, body):  # nobody reads any more; a command that waits for news would never end
            wire.send_json(connection, Kind.SIGNAL, {"number": signal.SIGTERM})
    elif kind is Kind.STDERR:
        _write(2, body)
    elif kind is Kind.WRITTEN:
        writable.take(body)
    elif kind is Kind.EXIT:
        return Ended.of(body)
    return None


def _write(fd: int, data: bytes) -> bool:
    """Write all; False when nobody reads there any more."""
    try:
        while data:
            data = data[os.write(fd, data) :]
    except BrokenPipeError:
        return False
    return True


def _pass_signals(connection: socket.socket, numbers: bytes) -> list[int]:
    """Send each on; returns those that are the command's."""
    for number in numbers:
        if number == signal.SIGWINCH:
            rows, columns = _window()
            wire.send_json(connection, Kind.WINSIZE, {"rows": rows, "columns": columns})
        else:
            wire.send_json(connection, Kind.SIGNAL, {"number": number})
    return [number for number in numbers if number != signal.SIGWINCH]


def _unread(waker: socket.socket) -> list[int]:
    """Signals that nobody has looked at."""
    waker.setblocking(False)
    try:
        return [number for number in waker.recv(64) if number != signal.SIGWINCH]
    except BlockingIOError:
        return []


@contextlib.contextmanager
def _signals(waker: socket.socket, interactive: bool) -> Iterator[None]:
    """Signals become bytes on a socket; the command in the machine decides what they do."""
    caught = (*FORWARDED, signal.SIGWINCH) if interactive else FORWARDED
    before = {number: signal.signal(number, lambda *_: None) for number in caught}
    old_fd = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(old_fd)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _terminal(interactive: bool) -> Iterator[None]:
    """Raw mode: the terminal of the machine does the line editing and makes the signals."""
    if not interactive:
        yield
        return
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _window() -> tuple[int, int]:
    """Rows and columns."""
    size = shutil.get_terminal_size()
    return size.lines, size.columns
