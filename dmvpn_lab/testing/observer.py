"""Looks at a lab for as long as it is used: the agents' events, and the packets on its NBMA links."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from dmvpn_lab.running import Event, RunningLab, Watch, watching
from dmvpn_lab.testing.capture import Capture, lines


class Observer:
    """A watch and a capture that outlive a test; `begin` marks where one begins."""

    def __init__(self, lab: RunningLab, watch: Watch, capture: Capture | None) -> None:
        self.lab = lab
        self.watch = watch
        self.capture = capture
        self._earlier: list[Event] = []

    def events(self) -> list[Event]:
        """Every event since `begin`, in the order in which they came."""
        return [*self._earlier, *self.watch.seen]

    def begin(self) -> None:
        """A test begins: forget the events and packets of the one before."""
        self._earlier.clear()
        self.watch.seen.clear()
        self.watch.routes.clear()
        if self.capture is not None:
            self.capture.clear()

    def fresh(self) -> Watch:
        """The watch, with nothing seen yet: what comes now is an answer to what is done next."""
        self._earlier += self.watch.seen
        self.watch.seen.clear()
        return self.watch


@contextlib.asynccontextmanager
async def observing(lab: RunningLab, chosen: Sequence[str] | None) -> AsyncIterator[Observer]:
    """An observer of a lab for the length of a block. `chosen`: whose NBMA links it captures; None: all."""
    routers = lines(lab.plan, chosen)
    async with contextlib.AsyncExitStack() as stack:
        watch = await stack.enter_async_context(watching(lab))
        capture = None
        if routers:
            capture = Capture(lab, routers)
            await stack.enter_async_context(capture.running())
        yield Observer(lab, watch, capture)


class Observation:
    """Runs `observing` as a task of its own, so that it can be ended from any other."""

    def __init__(self, lab: RunningLab, chosen: Sequence[str] | None) -> None:
        self._lab = lab
        self._chosen = chosen
        self._end = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Observer:
        """Begin; the observer, once it sees everything."""
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Observer] = loop.create_future()
        self._task = loop.create_task(self._run(ready))
        self._task.add_done_callback(lambda _: ready.cancel())
        try:
            return await ready
        except asyncio.CancelledError:
            if self._task.done():
                await self._task  # it ended before it saw anything: this raises why
            raise

    async def stop(self) -> None:
        """End it."""
        self._end.set()
        if self._task is not None:
            await self._task

    async def _run(self, ready: asyncio.Future[Observer]) -> None:
        async with observing(self._lab, self._chosen) as observer:
            ready.set_result(observer)
            await self._end.wait()
