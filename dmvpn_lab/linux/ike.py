"""charon's control socket, VICI: commands in, answers and events out, without ever blocking.

strongSwan's own `vici` has the codec; its sessions block, and must not be shared between threads.
So the codec is used here on a non-blocking socket that an event loop watches. Commands are sent one
after another: an answer does not say which command it belongs to.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vici.exception import DeserializationException
from vici.protocol import FiniteStream, Message, Packet

_LENGTH = struct.Struct("!I")
_CHUNK = 1 << 16
SEND_BUFFER = 1 << 20
"""Octets. charon takes commands at once unless it hangs."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that charon says by itself."""

    name: str
    message: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What charon says to a command; `items` are the messages that it streamed before."""

    command: str
    message: dict[str, Any]
    items: tuple[dict[str, Any], ...] = ()

    @property
    def error(self) -> str | None:
        """Why it refused."""
        if self.message.get("success", "yes") == "yes":
            return None
        return str(self.message.get("errmsg", "no reason given"))


@dataclass(slots=True)
class _Request:
    command: str
    packet: bytes
    item_event: str | None = None
    """The event in which its answers are streamed."""
    items: list[dict[str, Any]] = field(default_factory=list)


class Ike:
    """One connection to charon."""

    def __init__(self, path: Path) -> None:
        """Connect. Raises OSError while charon is not there."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self._socket.connect(str(path))
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise
        self._received = bytearray()
        self._waiting: deque[_Request] = deque()
        self._busy: _Request | None = None

    def fileno(self) -> int:
        """For a selector or an event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def register(self, event: str) -> None:
        """Ask to be told of an event. Raises OSError."""
        self._enqueue(_Request(f"register {event}", bytes(Packet.register_event(event))))

    def request(
        self, command: str, message: dict[str, Any] | None = None, *, items: str | None = None
    ) -> None:
        """Give a command; its answer comes by `read`. Raises OSError.

        `items` names the event, registered before, in which charon streams the answer's parts.
        """
        body = None if message is None else Message.serialize(message)
        self._enqueue(_Request(command, bytes(Packet.request(command, body)), items))

    def read(self) -> list[Event | Answer]:
        """Everything that is there. Raises OSError when charon has gone."""
        while True:
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                break
            if not data:
                raise ConnectionResetError("charon closed its control socket")
            self._received += data
            if len(data) < _CHUNK:
                break
        found: list[Event | Answer] = []
        while (packet := self._take()) is not None:
            said = self._parse(packet)
            if said is not None:
                found.append(said)
        return found

    def _take(self) -> bytes | None:
        """The next whole packet."""
        if len(self._received) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        packet = bytes(self._received[_LENGTH.size : end])
        del self._received[:end]
        return packet

    def _parse(self, packet: bytes) -> Event | Answer | None:
        parsed = Packet.parse(packet)
        message = _words(parsed.payload)
        if parsed.response_type == Packet.EVENT:
            name = parsed.event_type.decode()
            if self._busy is not None and name == self._busy.item_event:
                self._busy.items.append(message)
                return None
            return Event(name, message)
        done, self._busy = self._busy, None
        self._next()
        if done is None or parsed.response_type == Packet.EVENT_CONFIRM:
            return None
        if parsed.response_type != Packet.CMD_RESPONSE:
            message = {"success": "no", "errmsg": f"charon does not know {done.command}"}
        return Answer(done.command, message, tuple(done.items))

    def _enqueue(self, request: _Request) -> None:
        self._waiting.append(request)
        self._next()

    def _next(self) -> None:
        if self._busy is None and self._waiting:
            self._busy = self._waiting.popleft()
            packet = self._busy.packet
            self._socket.sendall(_LENGTH.pack(len(packet)) + packet)


def _words(stream: FiniteStream) -> dict[str, Any]:
    """A message with text for octets; ConnectionError when it is none."""
    try:
        decoded: dict[str, Any] = _text(Message.deserialize(stream))
    except (DeserializationException, struct.error, UnicodeDecodeError) as error:
        raise ConnectionAbortedError(f"charon said what is no VICI message: {error}") from error
    return decoded


def _text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _text(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value
