"""Deadlines by key: the earliest is found at once, however many there are."""

from __future__ import annotations

import heapq
from collections.abc import Hashable


class Timers:
    """Monotonic times, each under a key; setting one again moves it."""

    def __init__(self) -> None:
        self._times: dict[Hashable, float] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._count = 0

    def set(self, key: Hashable, at: float) -> None:
        """Have a deadline, or move it."""
        if self._times.get(key) != at:
            self._times[key] = at
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, key))

    def cancel(self, key: Hashable) -> None:
        """Have none; nothing to do when there was none."""
        self._times.pop(key, None)

    def get(self, key: Hashable) -> float | None:
        """When, if there is one."""
        return self._times.get(key)

    def deadline(self) -> float | None:
        """The earliest."""
        while self._heap:
            at, _, key = self._heap[0]
            if self._times.get(key) == at:
                return at
            heapq.heappop(self._heap)
        return None

    def due(self, now: float) -> list[Hashable]:
        """The keys whose time has come, the earliest first; they are gone from here."""
        found = []
        while (at := self.deadline()) is not None and at <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._times[key]
            found.append(key)
        return found
