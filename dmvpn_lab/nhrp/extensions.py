"""Extensions (RFC 2332, section 5.3). Unknown ones are kept, octet for octet, in their order.

     0                   1                   2                   3
    +-+-+---------------------------+-------------------------------+
    |C|u|        type (14 bits)     |            length             |
    +-+-+---------------------------+-------------------------------+
    | value (length octets)                                         |
    +---------------------------------------------------------------+

The part ends with type 0, compulsory, length 0.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.buffer import Reader
from dmvpn_lab.nhrp.cie import Cie, decode_cies
from dmvpn_lab.nhrp.constants import CISCO_AUTHENTICATION, ErrorCode, ExtensionType

LAYOUT = struct.Struct("!HH")
COMPULSORY = 0x8000
TYPE_MASK = 0x3FFF
WITH_CIES = frozenset(
    {
        ExtensionType.RESPONDER_ADDRESS,
        ExtensionType.FORWARD_TRANSIT_NHS,
        ExtensionType.REVERSE_TRANSIT_NHS,
        ExtensionType.NAT_ADDRESS,
    }
)
KNOWN = frozenset(ExtensionType)


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension with its value undecoded."""

    type: int
    compulsory: bool = True
    value: bytes = b""
    unused_bit: bool = False

    def cies(self) -> tuple[Cie, ...]:
        """The value of types 3, 4, 5 and 9 as entries. Raises DecodeError."""
        return decode_cies(Reader(self.value, 0, len(self.value)))


def decode_extensions(reader: Reader) -> tuple[Extension, ...]:
    """All up to the end marker. Raises DecodeError for a missing end, or anything after it."""
    found: list[Extension] = []
    seen: set[int] = set()
    while True:
        at = reader.offset
        head, length = reader.unpack(LAYOUT)
        kind = head & TYPE_MASK
        value = reader.octets(length)
        if kind == ExtensionType.END:
            if length or reader.left:
                raise _invalid("octets after the end of the extensions", at)
            return tuple(found)
        if kind in seen and kind != ExtensionType.VENDOR_PRIVATE:
            raise _invalid(f"extension {kind} occurs twice", at)
        seen.add(kind)
        extension = Extension(kind, bool(head & COMPULSORY), value, bool(head & 0x4000))
        if kind in WITH_CIES:
            _check_entries(extension, at)
        found.append(extension)


def encode_extensions(extensions: tuple[Extension, ...]) -> bytes:
    """The part as octets, with its end marker."""
    parts = []
    for extension in extensions:
        head = extension.type | (COMPULSORY if extension.compulsory else 0)
        head |= 0x4000 if extension.unused_bit else 0
        parts.append(LAYOUT.pack(head, len(extension.value)) + extension.value)
    parts.append(LAYOUT.pack(COMPULSORY, 0))
    return b"".join(parts)


def authentication(secret: str) -> Extension:
    """Cisco's plaintext authentication: a tag of the domain, no protection against a listener."""
    return Extension(ExtensionType.AUTHENTICATION, True, CISCO_AUTHENTICATION + secret.encode())


def authentic(extensions: tuple[Extension, ...], secret: str | None) -> bool:
    """Whether a packet with these extensions may be used where this secret is configured.

    Compared in constant time. Without a secret every packet is (section 5.3.4: "the presence or
    absence of the Authentication Extension is a local matter").
    """
    if secret is None:
        return True
    wanted = authentication(secret).value
    for extension in extensions:
        if extension.type == ExtensionType.AUTHENTICATION:
            return hmac.compare_digest(extension.value, wanted)
    return False


def _check_entries(extension: Extension, at: int) -> None:
    try:
        extension.cies()
    except DecodeError as error:
        raise _invalid(f"extension {extension.type}: {error}", at) from error


def _invalid(message: str, offset: int) -> DecodeError:
    return DecodeError(message, code=ErrorCode.INVALID_EXTENSION, offset=offset)
