"""The short way of a renewal: the same registration request again, but for its ID.

A hub spends most of its time on these. When a request equals, octet for octet, one of the same
sender that was accepted, and the binding that it made is still the sender's, then every judgement
is the same as before; what changes is the binding's end and the ID in the reply. The kernel has
the neighbour already, and keeps it: it is permanent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.config import CACHE_LIMIT

SUM, ID, LENGTH, PROTOCOL = slice(12, 14), slice(24, 28), 20, 32
"""Where checksum, request ID, and the source protocol address with its length are, after an IPv4 NBMA."""
SHORTEST = 36
_ID = struct.Struct("!I")

Key = tuple[str, bytes]
"""Interface, and the source protocol address as it is in the request."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was answered Success."""

    request: bytes
    """Without checksum and ID."""
    reply: bytes
    """The whole reply; its ID and checksum are to be put in."""
    protocol: IpAddress
    unique: bool
    holding_time_s: int
    server: IPv4Address | None
    """Our own NBMA address in the reply."""


class Refreshes:
    """The last accepted request of each client."""

    def __init__(self) -> None:
        self._accepted: dict[Key, Accepted] = {}

    def remember(self, server: IPv4Address | None, request: bytes, reply: bytes, binding: Binding) -> None:
        """A request was accepted; `server` is our own NBMA address."""
        if len(request) < SHORTEST or _protocol(request) != binding.protocol.packed:
            return  # an unusual one: it goes the long way each time
        if len(self._accepted) > CACHE_LIMIT:
            self._accepted.clear()
        holding_time_s = binding.holding_time_s or 0
        self._accepted[binding.interface, _protocol(request)] = Accepted(
            _without(request), reply, binding.protocol, binding.unique, holding_time_s, server
        )

    def find(self, interface: str, server: IPv4Address | None, request: bytes) -> Accepted | None:
        """What to do with a request that came again; None: it is another one, or its checksum is wrong."""
        accepted = self._accepted.get((interface, _protocol(request)))
        if (
            accepted is None
            or accepted.server != server
            or accepted.request != _without(request)
            or checksum(request)
        ):
            return None
        return accepted


def request_id(request: bytes) -> int:
    """The ID of a request."""
    number: int = _ID.unpack(request[ID])[0]
    return number


def reply_to(accepted: Accepted, request: bytes) -> bytes:
    """The reply with the ID of this request."""
    old = accepted.reply
    whole = b"".join((old[:12], b"\0\0", old[14:24], request[ID], old[28:]))
    return b"".join((whole[:12], checksum(whole).to_bytes(2, "big"), whole[14:]))


def _protocol(request: bytes) -> bytes:
    return request[PROTOCOL : PROTOCOL + request[LENGTH]] if len(request) > LENGTH else b""


def _without(request: bytes) -> bytes:
    return b"".join((request[:12], request[14:24], request[28:]))
