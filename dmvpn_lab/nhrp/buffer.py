"""Reading and writing octets: a reader that never reads past its end, and the checksum."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.constants import ErrorCode

Address = IPv4Address | IPv6Address | bytes | None
"""4 octets are IPv4, 16 are IPv6, none are None, anything else stays as it is."""


@dataclass(slots=True)
class Reader:
    """A cursor over one packet. `end` is exclusive; offsets count from the packet's start."""

    data: bytes
    offset: int
    end: int

    def octets(self, count: int) -> bytes:
        """The next `count` octets. Raises DecodeError past the end."""
        start, stop = self.offset, self.offset + count
        if stop > self.end:
            raise DecodeError(
                f"{count} octets expected, {self.end - start} left",
                code=ErrorCode.PROTOCOL_ERROR,
                offset=start,
            )
        self.offset = stop
        return self.data[start:stop]

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        """The next fields of a fixed layout. Raises DecodeError past the end."""
        start, stop = self.offset, self.offset + form.size
        if stop > self.end:
            self.octets(form.size)  # raises
        self.offset = stop
        return form.unpack_from(self.data, start)

    def address(self, length: int) -> Address:
        """The next `length` octets as an address."""
        return to_address(self.octets(length))

    @property
    def left(self) -> int:
        """Octets not yet read."""
        return self.end - self.offset


def to_address(octets: bytes) -> Address:
    """An address from its octets."""
    if len(octets) == 4:
        return IPv4Address(octets)
    if not octets:
        return None
    return IPv6Address(octets) if len(octets) == 16 else octets


def to_octets(address: Address) -> bytes:
    """The octets of an address."""
    if address is None:
        return b""
    return address if isinstance(address, bytes) else address.packed


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of octets; an odd last one is padded with zero.

    Over a packet whose checksum field is right the result is 0.
    """
    if len(data) % 2:
        data += b"\0"
    # One's-complement addition of 16-bit words is addition modulo 0xFFFF.
    total = int.from_bytes(data, "big")
    folded = total % 0xFFFF
    if folded == 0 and total:
        folded = 0xFFFF
    return folded ^ 0xFFFF
