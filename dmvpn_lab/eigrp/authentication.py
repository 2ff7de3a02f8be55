"""Authentication of packets (RFC 7868 section 6.7.2): MD5, and HMAC-SHA-256.

The RFC names the types and leaves the rest open. This is what routers send:

    +---------------+---------------+-------------------------------+
    |            0x0002             |       length (40 or 56)       |
    +-------------------------------+-------------------------------+
    |  type: 2 MD5, 3 HMAC-SHA-256  |  digest's octets (16 or 32)   |
    +-------------------------------+-------------------------------+
    |                             key ID                            |
    +---------------------------------------------------------------+
    |                          key sequence                         |
    +---------------------------------------------------------------+
    |                           zeros (8)                           |
    +---------------------------------------------------------------+
    |                           digest ...                          |
    +---------------------------------------------------------------+

It is the first TLV. A digest is made of the packet with a checksum of zero.
MD5: with the key, padded to 16 octets, in the digest's place, and without the last 20 octets. So a
packet with nothing behind this TLV (an acknowledgment, a first update) has a digest that needs no key.
HMAC-SHA-256: of all of it, with zeros for the digest; the key is a line feed, the key string and the
sender's address as text, so that nobody can send another router's packet as its own.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from dmvpn_lab.eigrp.constants import HEADER_LENGTH, TlvType
from dmvpn_lab.eigrp.packet import checksum

_TLV = struct.Struct("!HHHHII8x")
_CHECKSUM = slice(2, 4)
MD5_KEY = 16
"""Octets to which an MD5 key is padded."""
UNSIGNED = 20
"""Octets at the end that an MD5 digest does not cover."""


class Kind(IntEnum):
    """Which digest."""

    MD5 = 2
    SHA256 = 3


DIGEST = {Kind.MD5: 16, Kind.SHA256: 32}
"""Octets."""


@dataclass(frozen=True, slots=True)
class Key:
    """What both ends share (`key chain`)."""

    kind: Kind
    secret: bytes
    id: int = 1

    @property
    def size(self) -> int:
        """Octets of the TLV."""
        return _TLV.size + DIGEST[self.kind]


class KeySequence:
    """The sequence number in our TLVs: seconds, so that it goes on growing over a restart."""

    def __init__(self, offset_s: float) -> None:
        """`offset_s`: what is to be added to `now` to get seconds since 1970."""
        self._offset_s = offset_s
        self.value = 0

    def at(self, now: float) -> None:
        """It is that late."""
        self.value = int(now + self._offset_s) & 0xFFFFFFFF


def seal(data: bytes, key: Key, source: IPv4Address, sequence: int) -> bytes:
    """An encoded packet with its TLV of authentication."""
    head, rest = bytearray(data[:HEADER_LENGTH]), data[HEADER_LENGTH:]
    head[_CHECKSUM] = bytes(2)
    head += _TLV.pack(TlvType.AUTHENTICATION, key.size, key.kind, DIGEST[key.kind], key.id, sequence)
    head += _digest(bytes(head), rest, key, source)
    whole = bytes(head) + rest
    return whole[:2] + checksum(whole).to_bytes(2, "big") + whole[4:]


def opened(data: bytes, key: Key, source: IPv4Address) -> tuple[str | None, int]:
    """Why a packet is not authentic (None: it is), and its key sequence."""
    end = HEADER_LENGTH + _TLV.size
    if len(data) < end or int.from_bytes(data[HEADER_LENGTH : HEADER_LENGTH + 2], "big") != 2:
        return "missing", 0
    _, length, kind, octets, key_id, sequence = _TLV.unpack_from(data, HEADER_LENGTH)
    if (kind, octets, length) != (key.kind, DIGEST[key.kind], key.size):
        return "other-type", 0
    if key_id != key.id:
        return "other-key-id", 0
    head, digest, rest = bytearray(data[:end]), data[end : end + octets], data[end + octets :]
    head[_CHECKSUM] = bytes(2)
    if not hmac.compare_digest(digest, _digest(bytes(head), rest, key, source)):
        return "wrong-digest", 0
    return None, sequence


def has_authentication(data: bytes) -> bool:
    """Whether a packet begins with such a TLV."""
    return data[HEADER_LENGTH : HEADER_LENGTH + 2] == TlvType.AUTHENTICATION.to_bytes(2, "big")


def _digest(head: bytes, rest: bytes, key: Key, source: IPv4Address) -> bytes:
    if key.kind is Kind.MD5:
        whole = head + key.secret.ljust(MD5_KEY, b"\0") + rest
        return hashlib.md5(whole[:-UNSIGNED], usedforsecurity=False).digest()
    secret = b"\n" + key.secret + str(source).encode()
    return hmac.digest(secret, head + bytes(DIGEST[key.kind]) + rest, "sha256")
