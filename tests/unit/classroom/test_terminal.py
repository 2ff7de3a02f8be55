"""A terminal: what is typed, what is seen, by how many, and its end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from dmvpn_lab.classroom import terminal
from dmvpn_lab.classroom.terminal import BEHIND, KEPT, WAITS, Terminal, Viewer

PATIENCE_S = 30.0
ECHO = "for line in iter(input, 'quit'): print('heard', line)"
SIZE = """
import os, signal
signal.signal(signal.SIGWINCH, lambda *_: print(os.get_terminal_size(), flush=True))
print("ready", flush=True)
while True: signal.pause()
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""


def at(code: str, test: Callable[[Terminal, list[str]], Awaitable[None]]) -> None:
    """Run a test on a terminal with a program."""

    async def inside() -> None:
        ended: list[str] = []
        screen = Terminal(lambda: ended.append("ended"))
        await screen.start([sys.executable, "-c", code], os.environ, Path("/"))
        try:
            await test(screen, ended)
        finally:
            await screen.end()

    asyncio.run(inside())


async def until(viewer: Viewer, wanted: bytes) -> bytes:
    """What a viewer sees, up to this."""
    seen = b""
    async with asyncio.timeout(PATIENCE_S):
        while wanted not in seen:
            piece = await viewer.get()
            assert piece is not None, seen
            if isinstance(piece, bytes):
                seen += piece
    return seen


async def end_of(viewer: Viewer) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await viewer.get() is not None:
            pass


def test_all_viewers_see_the_same_and_a_late_one_what_was_there() -> None:
    async def test(screen: Terminal, ended: list[str]) -> None:
        first, second = screen.view(patient=False), screen.view(patient=False)
        assert first.get_nowait() == (24, 80)
        screen.type(b"hello\n")
        await until(first, b"heard hello")
        await until(second, b"heard hello")
        await until(screen.view(patient=False), b"heard hello")
        screen.leave(second)
        screen.type(b"more\n")
        await until(first, b"heard more")
        assert second.empty()

    at(ECHO, test)


def test_the_end_of_the_program_ends_the_terminal_and_every_view() -> None:
    async def test(screen: Terminal, ended: list[str]) -> None:
        viewer = screen.view(patient=False)
        screen.type(b"quit\n")
        await end_of(viewer)
        assert (ended, screen.open) == (["ended"], False)
        await end_of(screen.view(patient=False))
        screen.type(b"nothing happens\n")

    at(ECHO, test)


def test_a_new_size_reaches_the_program_and_the_viewers() -> None:
    async def test(screen: Terminal, ended: list[str]) -> None:
        viewer = screen.view(patient=False)
        await until(viewer, b"ready")
        screen.resize(33, 111)
        assert b"columns=111, lines=33" in await until(viewer, b")")
        late = screen.view(patient=False)
        assert late.get_nowait() == (33, 111)
        screen.resize(-5, 10**9)
        assert b"columns=500, lines=1" in await until(viewer, b")")

    at(SIZE, test)


def test_a_program_that_does_not_want_to_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(screen: Terminal, ended: list[str]) -> None:
        await until(screen.view(patient=False), b"ready\r\n")
        assert screen._process is not None
        await screen.end()
        assert screen._process.returncode == -9

    monkeypatch.setattr(terminal, "END_S", 0.2)
    at(STUBBORN, test)


def test_the_program_waits_for_a_learner_and_goes_on_when_she_has_seen_it() -> None:
    async def test(screen: Terminal, ended: list[str]) -> None:
        learner, total = screen.view(patient=True), 0
        async with asyncio.timeout(PATIENCE_S):
            while not screen._waiting:  # noqa: ASYNC110 - she takes nothing, and nothing tells when it waits
                await asyncio.sleep(0.01)
            assert learner.qsize() == WAITS
            while (piece := await learner.get()) is not None:
                total += len(piece) if isinstance(piece, bytes) else 0
                screen.seen()
                assert learner.qsize() <= WAITS
        assert total == 4 << 20

    at("import sys; sys.stdout.write('x' * (4 << 20))", test)


def test_a_viewer_that_does_not_keep_up_is_let_go_and_what_is_kept_has_an_end() -> None:
    async def test(screen: Terminal, ended: list[str]) -> None:
        slow, quick = screen.view(patient=False), screen.view(patient=False)
        for _ in range(BEHIND):
            screen.type(b"x\n")
            await until(quick, b"heard x")
        assert slow not in screen._viewers
        assert quick in screen._viewers
        screen._shown += bytes(2 * KEPT)
        screen.type(b"y\n")
        await until(quick, b"heard y")
        assert len(screen._shown) == KEPT

    at(ECHO, test)
