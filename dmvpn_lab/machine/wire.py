"""Frames between the thin client and the machine's resident.

     0      1              5
    +------+--------------+---------------------+
    | kind | length (u32) | length octets       |
    +------+--------------+---------------------+

    client -> resident                        resident -> client
    HELLO    JSON: token, clock, command      NEED     JSON: paths of the files it lacks
    FILES    tar of those files               STDOUT   bytes
    STDIN    bytes; empty means end           STDERR   bytes
    SIGNAL   JSON: number                     WRITTEN  tar of the files that the command wrote
    WINSIZE  JSON: rows, columns              EXIT     JSON: code, signals that the command got

Standard library only: this file is also copied into the machine, where it runs alone.
"""

from __future__ import annotations

import enum
import json
import socket
import struct
from typing import Any

HEADER = struct.Struct("!cI")
LIMIT = 256 * 1024 * 1024
"""Octets in one frame at the most."""


class Kind(bytes, enum.Enum):
    """What a frame carries."""

    HELLO = b"H"
    NEED = b"N"
    FILES = b"F"
    STDIN = b"I"
    SIGNAL = b"S"
    WINSIZE = b"W"
    STDOUT = b"O"
    STDERR = b"R"
    WRITTEN = b"T"
    EXIT = b"X"


class WireError(Exception):
    """The other end closed in the middle of a frame, or sent something that is no frame."""


def encode_frame(kind: Kind, body: bytes) -> bytes:
    """A frame as bytes."""
    return HEADER.pack(kind.value, len(body)) + body


def send_frame(connection: socket.socket, kind: Kind, body: bytes) -> None:
    """Send one frame whole."""
    connection.sendall(encode_frame(kind, body))


def send_json(connection: socket.socket, kind: Kind, body: Any) -> None:
    """Send one frame with a JSON body."""
    send_frame(connection, kind, json.dumps(body).encode())


def receive_frame(connection: socket.socket) -> tuple[Kind, bytes] | None:
    """The next frame; None at an orderly end. Raises WireError."""
    header = _receive_exactly(connection, HEADER.size, at_start=True)
    if header is None:
        return None
    code, length = HEADER.unpack(header)
    try:
        kind = Kind(code)
    except ValueError:
        raise WireError(f"no frame begins with {code!r}") from None
    if length > LIMIT:
        raise WireError(f"a frame of {length} octets is over the limit of {LIMIT}")
    body = _receive_exactly(connection, length, at_start=False)
    assert body is not None
    return kind, body


def _receive_exactly(connection: socket.socket, count: int, *, at_start: bool) -> bytes | None:
    parts: list[bytes] = []
    missing = count
    while missing:
        part = connection.recv(min(missing, 1 << 20))
        if not part:
            if at_start and missing == count:
                return None
            raise WireError("the connection ended in the middle of a frame")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
