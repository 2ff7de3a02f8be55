"""The live view in a terminal: lines from a source onto a screen, once a second and when one comes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator

from dmvpn_lab.errors import EXIT_OK
from dmvpn_lab.watch import terminal
from dmvpn_lab.watch.screen import Screen
from dmvpn_lab.watch.source import Seen, Source

TICK_S = 1.0
"""Remaining times are counted down so often."""
GATHER_S = 0.05
"""What comes within it is drawn at once."""
QUIT = b"qQ\x03\x04"
"""Keys that end it: q, and Ctrl-C and Ctrl-D where the terminal sends them as keys."""


class Live:
    """One view."""

    def __init__(self, source: Source, screen: Screen) -> None:
        self._source = source
        self._screen = screen
        self._seen = Seen()
        self._changed = asyncio.Event()
        self._quit = False

    async def run(self) -> int:
        """Show until a key, a signal, or the lab's end; the exit code."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read())
            with self._watching_keys():
                await self._until_first()
                if self._seen.frame is not None:
                    with self._screen.taken():
                        await self._show()
            reading.cancel()
        if self._seen.ended is not None:
            print(f"dmvpn-lab: {self._seen.ended}", file=sys.stderr)
        return EXIT_OK if self._quit or self._source.code is None else self._source.code

    async def _until_first(self) -> None:
        while self._seen.frame is None and not self._over():
            await self._changed.wait()
            self._changed.clear()

    async def _show(self) -> None:
        """Draw when something came and each second; nothing is drawn that has not changed."""
        while not self._over():
            self._draw()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S - time.time() % TICK_S):
                    await self._changed.wait()
                    await asyncio.sleep(GATHER_S)
            self._changed.clear()

    def _draw(self) -> None:
        assert self._seen.frame is not None
        width, height = self._screen.size()
        self._screen.draw(
            terminal.lines(self._seen.frame, list(self._seen.events)[-height:], time.time(), width, height)
        )

    def _over(self) -> bool:
        return self._quit or self._seen.ended is not None or self._source.code is not None

    async def _read(self) -> None:
        async with contextlib.aclosing(self._source.lines()) as lines:
            async for line in lines:
                self._seen.take(line)
                self._changed.set()
        self._changed.set()

    @contextlib.contextmanager
    def _watching_keys(self) -> Iterator[None]:
        """q and signals end it; a new size draws it anew; Ctrl-Z would leave the screen taken."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGWINCH, self._changed.set)
        loop.add_signal_handler(signal.SIGTSTP, lambda: None)
        keys = sys.stdin.isatty()
        if keys:
            loop.add_reader(sys.stdin.fileno(), self._key)
        try:
            yield
        finally:
            if keys:
                loop.remove_reader(sys.stdin.fileno())

    def _key(self) -> None:
        pressed = os.read(sys.stdin.fileno(), 64)
        if not pressed or set(pressed) & set(QUIT):
            self._end()

    def _end(self) -> None:
        self._quit = True
        self._changed.set()
