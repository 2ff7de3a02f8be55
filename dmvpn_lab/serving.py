"""A web application for the length of a block, and the signals that end it: for `watch` and the class."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Iterator

from aiohttp import web

from dmvpn_lab.errors import HostError, UsageError

SHUT_DOWN_S = 1.0
"""For requests that are being answered, at the end."""


@contextlib.asynccontextmanager
async def serving(
    application: web.Application, address: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Listen; the address of the first page. Raises UsageError for a port that is taken, else HostError."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUT_DOWN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address, port, ssl_context=tls).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise UsageError(f"port {port} is in use", hint="--port N; 0 takes any") from None
            hint = "it takes an address of this host, and a port from 1024 on"
            raise HostError(f"{address} port {port}: {error.strerror}", hint=hint) from error
        yield f"{'https' if tls else 'http'}://{address}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def signals(end: Callable[[], None]) -> Iterator[None]:
    """In this block a signal to end calls `end`."""
    loop = asyncio.get_running_loop()
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in caught:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
