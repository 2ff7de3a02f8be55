"""Tells everybody who waits that something has changed."""

from __future__ import annotations

import asyncio


class News:
    """Take `next` before you look, then wait for it: what changes meanwhile is not missed."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Set by the next change."""
        return self._next

    def tell(self) -> None:
        """Something has changed."""
        changed, self._next = self._next, asyncio.Event()
        changed.set()
