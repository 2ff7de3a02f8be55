"""Progress of what takes minutes: each step with the seconds so far, and a sign of life within a step."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SIGN_OF_LIFE_S = 30.0


class Steps:
    """Lines on standard error, apart from what a command prints."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._step: tuple[str, float] | None = None
        self._spoken = threading.Event()

    def __call__(self, text: str) -> None:
        """A step begins."""
        now = time.monotonic()
        self._step = (text, now)
        self._say(f"{now - self._began:5.1f} s  {text}")
        self._spoken.set()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Until the block ends, a step that takes long is named again and again."""
        ended = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(ended,), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            self._spoken.set()
            ticker.join()

    def _tick(self, ended: threading.Event) -> None:
        while not ended.is_set():
            self._spoken.clear()
            if self._spoken.wait(SIGN_OF_LIFE_S) or self._step is None:
                continue
            text, since = self._step
            now = time.monotonic()
            self._say(f"{now - self._began:5.1f} s  {text}: still at it, {now - since:.0f} s")

    @staticmethod
    def _say(text: str) -> None:
        print(f"dmvpn-lab: {text}", file=sys.stderr, flush=True)
