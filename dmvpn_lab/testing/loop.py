"""An event loop in a thread, so that a plain test can use the lab side, which is asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from dmvpn_lab.errors import DmvpnLabError
from dmvpn_lab.testing.traces import told_in_words

__tracebackhide__ = told_in_words
T = TypeVar("T")


class Loop:
    """Runs coroutines for callers that have no loop; what it watches goes on between the calls."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dmvpn-lab", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine. An interrupt of the caller cancels it and waits for its end.

        An error of ours comes without the frames and errors behind it: it says all in its words.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise
        except DmvpnLabError as error:
            raise error.with_traceback(None) from None

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        self.run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
