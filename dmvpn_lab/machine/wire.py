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
from collections.abc import Mapping
from typing import Any

HEADER = struct.Struct("!cI")
FILES_LIMIT = 256 * 1024 * 1024
"""Octets of files in one frame at the most, and of the words that announce them."""
PIECE = 1 << 16
"""Octets of a command's input or output in one frame at the most."""
WORDS = 1 << 12
"""Octets of JSON about a command at the most."""


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


LARGEST: Mapping[Kind, int] = {
    Kind.HELLO: FILES_LIMIT, Kind.NEED: FILES_LIMIT, Kind.FILES: FILES_LIMIT, Kind.WRITTEN: FILES_LIMIT,
    Kind.STDIN: PIECE, Kind.STDOUT: PIECE, Kind.STDERR: PIECE,
    Kind.SIGNAL: WORDS, Kind.WINSIZE: WORDS, Kind.EXIT: WORDS,
}  # fmt: skip
"""Octets in one frame of a kind at the most, for one who takes them all."""


class WireError(Exception):
    """The other end closed in the middle of a frame, or sent something that is no frame."""


class UnexpectedError(WireError):
    """The other end sent what is no frame, or none that it should send."""


def encode_frame(kind: Kind, body: bytes) -> bytes:
    """A frame as bytes."""
    return HEADER.pack(kind.value, len(body)) + body


def send_frame(connection: socket.socket, kind: Kind, body: bytes) -> None:
    """Send one frame whole."""
    connection.sendall(encode_frame(kind, body))


def send_json(connection: socket.socket, kind: Kind, body: Any) -> None:
    """Send one frame with a JSON body."""
    send_frame(connection, kind, json.dumps(body).encode())


def receive_frame(
    connection: socket.socket, largest: Mapping[Kind, int] = LARGEST
) -> tuple[Kind, bytes] | None:
    """The next frame; None at an orderly end.

    `largest` has the kinds that are awaited: another one, or a larger one, is refused before its body is
    received. Raises WireError.
    """
    header = _receive_exactly(connection, HEADER.size, at_start=True)
    if header is None:
        return None
    code, length = HEADER.unpack(header)
    try:
        kind = Kind(code)
    except ValueError:
        raise UnexpectedError(f"no frame begins with {code!r}") from None
    if kind not in largest:
        raise UnexpectedError(f"a frame of kind {kind.name}, which nobody awaits")
    if length > largest[kind]:
        raise UnexpectedError(f"a {kind.name} frame of {length} octets; {largest[kind]} are the most")
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
