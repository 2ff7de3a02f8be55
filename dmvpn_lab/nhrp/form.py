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

import operator
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
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
_LAYOUT = "!12sH10sI{}s"
"""Head, checksum, lengths, request ID, and the rest of a packet."""
_ENDS = {(4, 0, 4): 36, (4, 0, 16): 48}
"""Where the client's addresses end, by the lengths of NBMA address, its subaddress, protocol address."""
_SIZE = struct.Struct("!10xH")


@dataclass(slots=True)
class Octets:
    """A packet but for its fields."""

    layout: struct.Struct
    head: bytes
    lengths: bytes
    tail: bytes
    total: int
    """Their words, added: modulo 0xFFFF, as the Internet checksum's are."""


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
    request: Octets
    reply: Octets
    same: Callable[[bytes, bytes], bool]
    """Compares the rests of requests; in a time that tells nothing, where there is a secret in them."""
    difference: int = field(init=False)
    """What a reply's checksum has more than its request's, modulo 0xFFFF."""

    def __post_init__(self) -> None:
        self.difference = (self.request.total - self.reply.total) % 0xFFFF

    def client(self, octets: bytes) -> Client:
        """The one with these addresses, NBMA and protocol."""
        number, tail = int.from_bytes(octets, "big"), self.request.tail
        request = octets + tail
        reply = request if self.reply.tail == tail else octets + self.reply.tail
        return Client(self, octets, number, request, reply, (self.request.total + number) % 0xFFFF)


@dataclass(slots=True)
class Client:
    """Whose requests are of a form."""

    form: Form
    octets: bytes
    """NBMA and protocol address."""
    number: int
    """Those, as a number."""
    request: bytes
    """From the addresses on."""
    reply: bytes
    """From the addresses on."""
    total: int
    """The words of a request but for its checksum and ID, added, modulo 0xFFFF."""
    facts: Mapping[str, Any] | None = None
    """What the event of a renewal tells."""

    def request_id(self, data: bytes) -> int | None:
        """The ID of a request of the client's and of its form; None: it is none, or its checksum is wrong."""
        form, same = self.form, self.form.request
        if len(data) != same.layout.size:
            return None
        head, checksum, lengths, number, rest = same.layout.unpack(data)
        alike = head == same.head and lengths == same.lengths and form.same(rest, self.request)
        return None if not alike or (self.total + number + checksum) % 0xFFFF else number

    def answer(self, number: int) -> bytes:
        """The answer to the request with that ID: Success."""
        reply = self.form.reply
        checksum = (self.form.difference - self.total - number) % 0xFFFF
        return reply.layout.pack(reply.head, checksum, reply.lengths, number, self.reply)


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
        return None if form is None else form.client(octets)

    def remember(
        self, part: Tunnel, request: Packet, verdict: Verdict, data: bytes, reply: bytes
    ) -> Client | None:
        """A request was accepted, with that reply. None: it is an unusual one, and decoded each time."""
        end = _ENDS.get((data[18], data[19], data[20])) if len(data) >= SHORTEST else None
        if end is None or _SIZE.unpack_from(data)[0] != len(data):
            return None
        if verdict.protocol != request.source_protocol:
            return None  # what it registers stands in its entry, which is no field
        if part.nbma is not self._server or len(self._forms) >= LIMIT:
            self._forms, self._server = {}, part.nbma
        natted = request.source_nbma != verdict.nbma
        key = data[14:24] + data[end:]
        if natted or _names_its_sender(request):
            key += data[28:end] + verdict.nbma.packed
        form = Form(
            part, part.nbma, nhs.registrable(part.config), verdict.holding_time_s, verdict.unique,
            natted, _without_fields(data, end), _without_fields(reply, end),
            compare_digest if part.config.authentication else operator.eq,
        )  # fmt: skip
        self._forms[key] = form
        return form.client(data[28:end])


def _names_its_sender(request: Packet) -> bool:
    """Whether an address of the client's own is outside of the fields."""
    cie = request.cies[0]
    own_destination = request.destination_protocol == request.source_protocol
    return own_destination or cie.protocol is not None or cie.nbma is not None


def _without_fields(packet: bytes, end: int) -> Octets:
    head, lengths, tail = packet[:12], packet[14:24], packet[end:]
    rest = head + lengths + tail
    total = int.from_bytes(rest + bytes(len(rest) % 2), "big") % 0xFFFF
    return Octets(struct.Struct(_LAYOUT.format(len(packet) - 28)), head, lengths, tail, total)
