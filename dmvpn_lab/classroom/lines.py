"""A terminal's line to a browser: a websocket, on which the learner types and an instructor only looks.

browser -> server                              server -> browser
binary  keys                                   binary  output
text    {"rows": 24, "columns": 80}            text    {"rows": 24, "columns": 80}
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from aiohttp import WSMsgType, web

from dmvpn_lab.classroom.terminal import Terminal, Viewer

HEARTBEAT_S = 20.0
LARGEST = 64 * 1024
"""Octets of one message: what somebody pastes."""


async def serve(
    request: web.Request, terminal: Terminal, allowed: Callable[[], bool], typed: Callable[[], None] | None
) -> web.WebSocketResponse:
    """Carry a terminal until either end closes, or it is not `allowed` any more.

    `typed` is called for each message; without it the other end only looks.
    """
    line = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=LARGEST)
    await line.prepare(request)
    viewer = terminal.view(patient=typed is not None)
    showing = asyncio.ensure_future(_show(line, terminal, viewer, allowed))
    try:
        async for message in line:
            if not allowed():
                break
            if typed is None:
                continue
            typed()
            if message.type is WSMsgType.BINARY:
                terminal.type(message.data)
            elif message.type is WSMsgType.TEXT and (size := _size(message.data)) is not None:
                terminal.resize(*size)
    finally:
        terminal.leave(viewer)
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
    return line


async def _show(
    line: web.WebSocketResponse, terminal: Terminal, viewer: Viewer, allowed: Callable[[], bool]
) -> None:
    while (piece := await viewer.get()) is not None and allowed():
        terminal.seen()
        if isinstance(piece, bytes):
            await line.send_bytes(piece)
        else:
            await line.send_json({"rows": piece[0], "columns": piece[1]})
    await line.close()


def _size(text: str) -> tuple[int, int] | None:
    """Rows and columns; None for anything else."""
    try:
        told = json.loads(text)
        return int(told["rows"]), int(told["columns"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
