"""The form of a registration request: all of it but what differs between clients, and between tries.

    octets  0        12    14        24   28    32        36 or 48
            | head   | sum | lengths | ID | NBMA | protocol | tail: destination, entry, extensions
                       ---             --   ----   --------

A hub's clients are configured alike, and a client that renews says what it said before. So when a
request was accepted, its form is kept with the reply to it: one that differs in the underlined
fields only is neither decoded nor is its answer encoded. What the fields say is judged as ever.

A form that has a client's address elsewhere (a NAT is between, the client names itself as the
destination or in its entry) is that client's own.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

from dmvpn_lab.nhrp import nhs
from dmvpn_lab.nhrp.config import CACHE_LIMIT
from dmvpn_lab.nhrp.nhs import Verdict
from dmvpn_lab.nhrp.packet import Packet

if TYPE_CHECKING:
    from dmvpn_lab.nhrp.tunnel import Tunnel

LIMIT = CACHE_LIMIT
"""Forms at the most; one more, and all are learnt anew."""
SHORTEST = 48
"""Octets of a request with one entry, IPv4 and no extensions."""
_HEAD = "!12sH10sI{}s"
"""Head, checksum, lengths, request ID, and the two addresses of the client."""
_LAYOUTS = {(4, 0, 4): struct.Struct(_HEAD.format(8)), (4, 0, 16): struct.Struct(_HEAD.format(20))}
"""By the lengths of NBMA address, NBMA subaddress and source protocol address."""
_SIZE = struct.Struct("!10xH")


@dataclass(slots=True)
class Octets:
    """A packet but for its fields."""

    head: bytes
    lengths: bytes
    tail: bytes
    total: int
    """Their words, added."""


@dataclass(slots=True)
class Form:
    """What requests of it have in common, and the replies to them."""

    part: Tunnel
    """What accepted one, and would accept another."""
    server: IPv4Address | None
    """Our own NBMA address in the reply."""
    numbers: tuple[int, int, int | None]
    """First and last protocol address that may be registered, and one that may not."""
    holding_time_s: int
    unique: bool
    natted: bool
    layout: struct.Struct
    request: Octets
    reply: Octets


@dataclass(slots=True)
class Client:
    """Whose requests are of a form."""

    form: Form
    octets: bytes
    """NBMA and protocol address."""
    words: int = field(init=False)
    """Those, added."""
    facts: Mapping[str, Any] | None = None
    """What the event of a renewal tells."""

    def __post_init__(self) -> None:
        self.words = int.from_bytes(self.octets, "big")

    def request_id(self, data: bytes) -> int | None:
        """The ID of a request of the client's and of its form; None: it is none, or its checksum is wrong."""
        form = self.form
        layout, same = form.layout, form.request
        head, checksum, lengths, number, octets = layout.unpack_from(data)
        if (
            octets != self.octets
            or lengths != same.lengths
            or head != same.head
            or data[layout.size :] != same.tail
            or (same.total + self.words + number + checksum) % 0xFFFF
        ):
            return None
        return number  # type: ignore[no-any-return]

    def reply(self, number: int) -> bytes:
        """The answer to the request with that ID: Success."""
        form = self.form
        reply = form.reply
        whole = (reply.total + self.words + number) % 0xFFFF
        checksum = 0xFFFF - whole if whole else 0
        return form.layout.pack(reply.head, checksum, reply.lengths, number, self.octets) + reply.tail


class Forms:
    """The forms that one tunnel has accepted."""

    def __init__(self) -> None:
        self._forms: dict[bytes, Form] = {}
        self._server: IPv4Address | None = None

    def client(self, server: IPv4Address | None, data: bytes, outer: IPv4Address) -> Client | None:
        """Whose request of a known form that is; None: it has to be decoded."""
        if len(data) < SHORTEST or server is not self._server:
            return None
        end = 36 if data[20] == 4 else 48
        key, octets, packed = data[14:24] + data[end:], data[28:end], outer.packed
        form = self._forms.get(key) if octets[:4] == packed else None
        form = form or self._forms.get(key + octets + packed)
        return None if form is None else Client(form, octets)

    def remember(
        self, part: Tunnel, request: Packet, verdict: Verdict, data: bytes, reply: bytes
    ) -> Client | None:
        """A request was accepted, with that reply. None: it is an unusual one, and decoded each time."""
        layout = _LAYOUTS.get((data[18], data[19], data[20])) if len(data) >= SHORTEST else None
        if layout is None or _SIZE.unpack_from(data)[0] != len(data):
            return None
        if part.nbma is not self._server or len(self._forms) >= LIMIT:
            self._forms, self._server = {}, part.nbma
        end, natted = layout.size, request.source_nbma != verdict.nbma
        key = data[14:24] + data[end:]
        if natted or _names_its_sender(request):
            key += data[28:end] + verdict.nbma.packed
        form = Form(
            part, part.nbma, nhs.registrable(part.config), verdict.holding_time_s, verdict.unique,
            natted, layout, _without_fields(data, end), _without_fields(reply, end),
        )  # fmt: skip
        self._forms[key] = form
        return Client(form, data[28:end])


def _names_its_sender(request: Packet) -> bool:
    """Whether an address of the client's own is outside of the fields."""
    cie = request.cies[0]
    own_destination = request.destination_protocol == request.source_protocol
    return own_destination or cie.protocol is not None or cie.nbma is not None


def _without_fields(packet: bytes, end: int) -> Octets:
    head, lengths, tail = packet[:12], packet[14:24], packet[end:]
    rest = head + lengths + tail
    return Octets(head, lengths, tail, int.from_bytes(rest + bytes(len(rest) % 2), "big") % 0xFFFF)
