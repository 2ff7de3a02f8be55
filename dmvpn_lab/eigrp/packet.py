"""The EIGRP packet (RFC 7868 section 6.5):

Header, then TLVs.

    +---------------+---------------+-------------------------------+
    |  version (2)  |    opcode     |           checksum            |
    +---------------+---------------+-------------------------------+
    |                            flags                              |
    +---------------------------------------------------------------+
    |                       sequence number                         |
    +---------------------------------------------------------------+
    |                    acknowledgment number                      |
    +-------------------------------+-------------------------------+
    |       virtual router ID       |   autonomous system number    |
    +-------------------------------+-------------------------------+
    |                           TLVs ...                            |
    +---------------------------------------------------------------+
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dmvpn_lab.eigrp.constants import HEADER_LENGTH, VERSION, Opcode
from dmvpn_lab.eigrp.tlv import Route, Tlv, decode_tlvs, encode_tlv, malformed

HEADER = struct.Struct("!BBHIIIHH")


@dataclass(frozen=True, slots=True)
class Packet:
    """One EIGRP packet."""

    opcode: int
    asn: int
    flags: int = 0
    sequence: int = 0
    """0: needs no acknowledgment."""
    acknowledgment: int = 0
    """0: acknowledges nothing."""
    tlvs: tuple[Tlv, ...] = ()
    vrid: int = 0

    @property
    def routes(self) -> tuple[Route, ...]:
        """The destinations in it."""
        return tuple(tlv for tlv in self.tlvs if isinstance(tlv, Route))

    @property
    def is_acknowledgment(self) -> bool:
        """A hello that is none: section 6.5, acknowledgment number."""
        return self.opcode == Opcode.HELLO and self.acknowledgment != 0

    @property
    def kind(self) -> str:
        """A word for it, for counters."""
        if self.is_acknowledgment:
            return "ack"
        known = self.opcode in tuple(Opcode)
        return Opcode(self.opcode).name.lower().replace("_", "-") if known else "unknown"


def decode(data: bytes) -> Packet:
    """A packet from the octets after the IP header. Raises DecodeError and nothing else."""
    if len(data) < HEADER_LENGTH:
        raise malformed(f"{len(data)} octets", 0)
    version, opcode, _sum, flags, sequence, acknowledgment, vrid, asn = HEADER.unpack_from(data)
    if version != VERSION:
        raise malformed(f"version {version}", 0)
    if checksum(data) != 0:
        raise malformed("wrong checksum", 2)
    return Packet(opcode, asn, flags, sequence, acknowledgment, decode_tlvs(data, HEADER_LENGTH), vrid)


def encode(packet: Packet) -> bytes:
    """The packet as octets, with its checksum."""
    body = b"".join(encode_tlv(tlv) for tlv in packet.tlvs)
    rest = (packet.flags, packet.sequence, packet.acknowledgment, packet.vrid, packet.asn)
    whole = checksum(HEADER.pack(VERSION, packet.opcode, 0, *rest) + body)
    return HEADER.pack(VERSION, packet.opcode, whole, *rest) + body


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); 0 over a packet whose checksum field is right."""
    if len(data) % 2:
        data += b"\0"
    # One's-complement addition of 16-bit words is addition modulo 0xFFFF.
    total = int.from_bytes(data, "big")
    folded = total % 0xFFFF
    if folded == 0 and total:
        folded = 0xFFFF
    return folded ^ 0xFFFF
