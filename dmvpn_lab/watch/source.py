"""Where a view's lines come from: `dmvpn-lab watch --json`, run where the nodes run.

Views run here, also where the lab is in the machine: only what has changed crosses, and drawing
costs the machine nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from dmvpn_lab.watch.frame import Frame

LINE_LIMIT = 16 << 20
"""Octets of a line: a frame of hundreds of spokes."""
KEPT = 500
"""Events that a view remembers."""
END_S = 5.0
"""The program that is asked to end has so long."""
Line = dict[str, Any]


def argv(lab: str | None) -> list[str]:
    """The command whose output the views show."""
    return [sys.executable, "-m", "dmvpn_lab", "watch", "--json", *([lab] if lab else [])]


class Seen:
    """What a view has heard so far."""

    def __init__(self) -> None:
        self.frame: Frame | None = None
        self.events: deque[dict[str, Any]] = deque(maxlen=KEPT)
        """The newest last."""
        self.ended: str | None = None
        """Why nothing more comes."""

    def take(self, line: Line) -> None:
        """One more line. Past events of several routers come router by router: they are put in order."""
        if "frame" in line:
            self.frame = line["frame"]
        elif "event" in line:
            event = line["event"]
            late = bool(self.events) and event["at"] < self.events[-1]["at"]
            self.events.append(event)
            if late:
                self.events = deque(sorted(self.events, key=lambda each: each["at"]), maxlen=KEPT)
        elif "ended" in line:
            self.ended = line["ended"]


class Source:
    """The running command. It has said why on standard error when it ends with a code."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self.code: int | None = None
        """Its exit code, once it has ended by itself."""

    async def lines(self) -> AsyncGenerator[Line, None]:
        """Its lines until it ends; it is ended with the caller's loop."""
        # A session of its own: an interrupt from the keyboard is for the view, which ends it.
        child = await asyncio.create_subprocess_exec(
            *self._command, stdin=DEVNULL, stdout=PIPE, limit=LINE_LIMIT, start_new_session=True
        )
        assert child.stdout is not None
        try:
            while line := await child.stdout.readline():
                yield json.loads(line)
            self.code = await child.wait()
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.terminate()
                try:
                    async with asyncio.timeout(END_S):
                        await child.wait()
                except TimeoutError:
                    child.kill()
                    await child.wait()
