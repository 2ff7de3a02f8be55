"""The timer of a core."""

from __future__ import annotations

import asyncio

from dmvpn_lab.daemon.alarm import Alarm


class Loop:
    """An event loop whose time does not pass by itself."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, object, asyncio.TimerHandle]] = []
        self.inner = asyncio.new_event_loop()

    def call_at(self, when: float, callback: object) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, (), self.inner)  # type: ignore[arg-type]
        self.calls.append((when, callback, handle))
        return handle


def test_it_rings_at_the_deadline_and_waits_for_the_next() -> None:
    loop, deadlines, rung = Loop(), [5.0], []

    def ring() -> None:
        rung.append(deadlines[0])
        deadlines[0] += 1

    alarm = Alarm(loop, lambda: deadlines[0], ring)  # type: ignore[arg-type]
    alarm.set()
    alarm.set()
    ((when, callback, _),) = loop.calls
    assert when == 5.0
    callback()  # type: ignore[operator]
    assert rung == [5.0]
    assert [each[0] for each in loop.calls] == [5.0, 6.0]
    loop.inner.close()


def test_a_deadline_that_moves_or_goes_takes_the_timer_with_it() -> None:
    loop = Loop()
    deadline: float | None = 5.0
    alarm = Alarm(loop, lambda: deadline, lambda: None)  # type: ignore[arg-type]
    alarm.set()
    deadline = 3.0
    alarm.set()
    deadline = None
    alarm.set()
    assert [(when, handle.cancelled()) for when, _, handle in loop.calls] == [(5.0, True), (3.0, True)]
    loop.inner.close()
