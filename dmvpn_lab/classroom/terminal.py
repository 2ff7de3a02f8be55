"""One terminal of a learner: a program on a pseudo-terminal, and who sees it.

The learner types; an instructor sees the same. The program waits for a learner's slow line, as it would for
a slow terminal. It does not wait for an instructor's: who does not keep up is let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

KEPT = 1 << 16
"""Octets of output that a new viewer sees first."""
PIECE = 1 << 15
BEHIND = 256
"""Pieces that a viewer may be behind."""
WAITS = BEHIND // 2
"""A learner so far behind is waited for."""
END_S = 5.0
ROWS, COLUMNS = 24, 80
MOST = 500
"""Rows or columns, at the most."""
Piece = bytes | tuple[int, int] | None
"""Output, a new size, or the end."""
Viewer = asyncio.Queue[Piece]


class Terminal:
    """A program at work."""

    def __init__(self, ended: Callable[[], None]) -> None:
        """`ended` is called when the program has ended and its output is out."""
        self._ended = ended
        self._viewers: set[Viewer] = set()
        self._patient: set[Viewer] = set()
        """Those that are waited for."""
        self._waiting = False
        self._shown = bytearray()
        self._size = (ROWS, COLUMNS)
        self._master = -1
        self._process: Process | None = None

    async def start(self, argv: Sequence[str], env: Mapping[str, str], folder: Path) -> None:
        """Start the program. Raises OSError."""
        self._master, slave = os.openpty()
        os.set_blocking(self._master, False)
        self._set_size()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *argv, stdin=slave, stdout=slave, stderr=slave, env=dict(env), cwd=folder,
                start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self._go_on()

    @property
    def open(self) -> bool:
        """Whether the program runs."""
        return self._master >= 0

    def view(self, *, patient: bool) -> Viewer:
        """A new viewer: the size, what is there, then what comes; the program waits for a `patient` one."""
        viewer: Viewer = asyncio.Queue(BEHIND)
        viewer.put_nowait(self._size)
        viewer.put_nowait(bytes(self._shown))
        if self.open:
            self._viewers.add(viewer)
            if patient:
                self._patient.add(viewer)
        else:
            viewer.put_nowait(None)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """A viewer goes."""
        self._viewers.discard(viewer)
        self._patient.discard(viewer)
        self.seen()

    def seen(self) -> None:
        """A viewer has taken something: if that was waited for, the program goes on."""
        if self._waiting and self.open and not self._behind():
            self._go_on()

    def type(self, keys: bytes) -> None:
        """What the learner typed. What does not fit into the kernel's buffer is lost, as with a real line."""
        with contextlib.suppress(BlockingIOError, OSError):
            if self.open:
                os.write(self._master, keys)

    def resize(self, rows: int, columns: int) -> None:
        """The learner's window has changed."""
        self._size = (min(MOST, max(1, rows)), min(MOST, max(1, columns)))
        if self.open and self._process is not None and self._process.returncode is None:
            self._set_size()
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGWINCH)  # it is nobody's controlling terminal
        self._tell(self._size)

    async def end(self) -> None:
        """End the program, and everybody's view."""
        self._close()
        if self._process is None or self._process.returncode is not None:
            return
        for number in (signal.SIGHUP, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await self._process.wait()
                    return

    def _set_size(self) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", *self._size, 0, 0))

    def _read(self) -> None:
        try:
            piece = os.read(self._master, PIECE)
        except BlockingIOError:
            return
        except OSError:  # Linux: nobody has the other end open
            piece = b""
        if not piece:
            self._close()
            return
        self._shown += piece
        del self._shown[:-KEPT]
        self._tell(piece)
        if self._behind():
            self._waiting = True
            asyncio.get_running_loop().remove_reader(self._master)

    def _behind(self) -> bool:
        return any(viewer.qsize() >= WAITS for viewer in self._patient)

    def _go_on(self) -> None:
        self._waiting = False
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _tell(self, piece: Piece) -> None:
        for viewer in tuple(self._viewers):
            if viewer.full():
                self._let_go(viewer)
            else:
                viewer.put_nowait(piece)

    def _let_go(self, viewer: Viewer) -> None:
        """End a view after what is in its queue, which gets room for the end."""
        self._viewers.discard(viewer)
        self._patient.discard(viewer)
        if viewer.full():
            viewer.get_nowait()
        viewer.put_nowait(None)

    def _close(self) -> None:
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)
        self._master = -1
        for viewer in tuple(self._viewers):
            self._let_go(viewer)
        self._ended()
