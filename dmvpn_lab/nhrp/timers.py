"""Timers by key: the earliest is known at once, however many there are."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """At most one time for each key, monotonic seconds."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()

    def set(self, key: K, due: float) -> None:
        """Have a key fall due at a time, and at no other."""
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._order), key))

    def cancel(self, key: K) -> None:
        """Forget a key."""
        self._due.pop(key, None)

    def deadline(self) -> float | None:
        """When the next one falls due."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def expired(self, now: float) -> list[K]:
        """Forget and return those that are due, the oldest first."""
        found = []
        while (due := self.deadline()) is not None and due <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._due[key]
            found.append(key)
        return found
