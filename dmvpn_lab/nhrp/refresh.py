"""The short way of a renewal: the same registration request again, but for its ID.

A hub spends most of its time on these. When a request equals, octet for octet, one of the same
sender that was accepted, and the binding that it made is still the sender's, then every judgement
is the same as before; what changes is the binding's end and the ID in the reply. The kernel has
the neighbour already, and keeps it: it is permanent.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.config import CACHE_LIMIT

SUM, ID, LENGTH, PROTOCOL = slice(12, 14), slice(24, 28), 20, 32
"""Where checksum, request ID, and the source protocol address with its length are, after an IPv4 NBMA."""
SHORTEST = 36

Key = tuple[str, bytes]
"""Interface, and the source protocol address as it is in the request."""


@dataclass(slots=True)
class Accepted:
    """A request that was answered Success."""

    request: bytes
    """Without checksum and ID."""
    reply: bytes
    """The whole reply; its ID and checksum are to be put in."""
    facts: dict[str, Any]
    """Of the event that tells of a renewal."""
    binding: Binding
    """What it made, or its last renewal: while the cache has this very one, all is as it was."""
    server: IPv4Address | None
    """Our own NBMA address in the reply."""

    def renewed(self, request: bytes, now: float) -> Binding:
        """The binding after that request."""
        old = self.binding
        self.binding = Binding(
            old.interface, old.protocol, old.nbma, old.created, unique=old.unique,
            holding_time_s=old.holding_time_s, expires=now + (old.holding_time_s or 0),
            request_id=request_id(request), natted=old.natted,
        )  # fmt: skip
        return self.binding


class Refreshes:
    """The last accepted request of each client."""

    def __init__(self) -> None:
        self._accepted: dict[Key, Accepted] = {}

    def remember(self, server: IPv4Address | None, request: bytes, reply: bytes,
                 binding: Binding, facts: dict[str, Any]) -> None:  # fmt: skip
        """A request was accepted; `server` is our own NBMA address, `facts` are those of its event."""
        if len(request) < SHORTEST or _protocol(request) != binding.protocol.packed:
            return  # an unusual one: it goes the long way each time
        if len(self._accepted) > CACHE_LIMIT:
            self._accepted.clear()
        again = facts | {"previous_nbma": facts["nbma"]}
        key = binding.interface, _protocol(request)
        self._accepted[key] = Accepted(_without(request), reply, again, binding, server)

    def find(self, interface: str, server: IPv4Address | None, request: bytes) -> Accepted | None:
        """What to do with a request that came again; None: it is another one, or its checksum is wrong."""
        accepted = self._accepted.get((interface, _protocol(request)))
        if (
            accepted is None
            or accepted.server is not server
            or accepted.request != _without(request)
            or checksum(request)
        ):
            return None
        return accepted


def request_id(request: bytes) -> int:
    """The ID of a request."""
    return int.from_bytes(request[ID], "big")


def reply_to(accepted: Accepted, request: bytes) -> bytes:
    """The reply with the ID of this request."""
    old = accepted.reply
    whole = b"".join((old[:12], b"\0\0", old[14:24], request[ID], old[28:]))
    return b"".join((whole[:12], checksum(whole).to_bytes(2, "big"), whole[14:]))


def _protocol(request: bytes) -> bytes:
    return request[PROTOCOL : PROTOCOL + request[LENGTH]] if len(request) > LENGTH else b""


def _without(request: bytes) -> bytes:
    return b"".join((request[:12], request[14:24], request[28:]))
