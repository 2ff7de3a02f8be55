"""What a check is: an observation awaited up to a deadline, and its result."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from dmvpn_lab.running import RunningLab, Watch

STEP_S = 0.5
"""The longest between two looks while nothing wakes us."""

Observe = Callable[[], Awaitable[tuple[bool, str]]]
"""Looks once: whether it is as expected, and what is there, in words."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the verified table."""

    name: str
    node: str
    passed: bool
    expected: str
    observed: str
    waited_s: float


class Check(Protocol):
    """One kind of proof; yields a result for each thing that it looked at."""

    name: str

    def run(self, lab: RunningLab, watch: Watch) -> AsyncIterator[CheckResult]:
        """Look, wait where needed, tell."""


async def awaited(
    name: str, node: str, expected: str, observe: Observe, watch: Watch, deadline_s: float
) -> CheckResult:
    """Look until it is as expected or `deadline_s` is over; the last observation is the result's."""
    began = time.monotonic()
    deadline_s = watch.bounded(deadline_s)
    while True:
        passed, observed = await observe()
        waited_s = time.monotonic() - began
        if passed or waited_s >= deadline_s:
            return CheckResult(name, node, passed, expected, observed, round(waited_s, 2))
        await watch.wait(min(STEP_S, deadline_s - waited_s))
