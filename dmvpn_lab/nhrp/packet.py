"""The NHRP packet (RFC 2332, section 5). Pure: octets to values and back.

Fixed header, 20 octets:

     0                   1                   2                   3
    +-------------------------------+-------------------------------+
    |            ar$afn             |          ar$pro.type          |
    +-------------------------------+-------------------------------+
    |                  ar$pro.snap (5)              |   ar$hopcnt   |
    |               +---------------+---------------+---------------+
    +---------------+               (the snap ends after 9 octets)
    |            ar$pktsz           |           ar$chksum           |
    +-------------------------------+-------------------------------+
    |            ar$extoff          | ar$op.version |  ar$op.type   |
    +-------------------------------+-------------------------------+
    |    ar$shtl    |    ar$sstl    |
    +---------------+---------------+

Mandatory part:

    +---------------+---------------+-------------------------------+
    | src proto len | dst proto len |             flags             |
    +---------------+---------------+-------------------------------+
    |                    request ID  (error: code, offset)          |
    +---------------------------------------------------------------+
    | source NBMA address, subaddress, source and destination       |
    | protocol address; then entries, or for types 7 and 8 the      |
    | packet that they are about                                    |
    +---------------------------------------------------------------+
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dmvpn_lab.address import IpAddress
from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.buffer import Address, Reader, checksum, to_octets
from dmvpn_lab.nhrp.cie import Cie, decode_cies, encode_cie
from dmvpn_lab.nhrp.constants import (
    AFN_IPV4,
    AFN_IPV6,
    FIXED_HEADER_LENGTH,
    PROTOCOL_IPV4,
    PROTOCOL_IPV6,
    VERSION,
    ErrorCode,
    PacketType,
)
from dmvpn_lab.nhrp.extensions import Extension, decode_extensions, encode_extensions

HEADER = struct.Struct("!HH5sBHHHBBBB")
MANDATORY = struct.Struct("!BBHI")
WITH_ENTRIES = frozenset(range(PacketType.RESOLUTION_REQUEST, PacketType.ERROR_INDICATION))
"""Types whose mandatory part goes on with entries; of others it is kept as it is."""
HOP_COUNT = 255
ADDRESS_LENGTHS = {AFN_IPV4: 4, AFN_IPV6: 16}
PROTOCOL_LENGTHS = {PROTOCOL_IPV4: 4, PROTOCOL_IPV6: 16}


class ChecksumError(DecodeError):
    """The packet's checksum does not fit its octets."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One NHRP packet."""

    type: int
    flags: int = 0
    request_id: int = 0
    source_nbma: Address = None
    source_protocol: Address = None
    destination_protocol: Address = None
    cies: tuple[Cie, ...] = ()
    extensions: tuple[Extension, ...] | None = ()
    """None: the packet has no extension part at all."""
    payload: bytes = b""
    """Types 7 and 8: the start of the packet that this one is about. Unknown types: the rest."""
    hop_count: int = HOP_COUNT
    afn: int = AFN_IPV4
    protocol_type: int = PROTOCOL_IPV4
    snap: bytes = bytes(5)
    nbma_subaddress: bytes = b""

    @property
    def error_code(self) -> int:
        """Type 7: why."""
        return self.request_id >> 16

    @property
    def error_offset(self) -> int:
        """Type 7: the octet of the packet in error."""
        return self.request_id & 0xFFFF

    def extension(self, kind: int) -> Extension | None:
        """The extension of that type, if the packet has it."""
        return next((e for e in self.extensions or () if e.type == kind), None)


def decode(data: bytes) -> Packet:
    """A packet from the octets after the GRE header. Raises DecodeError and nothing else.

    Octets beyond the packet's own size (an underlay's padding) are ignored.
    """
    reader = Reader(data, 0, len(data))
    (afn, protocol_type, snap, hop_count, size, _sum, extensions_at, version, kind,
     nbma_length, sub_length) = reader.unpack(HEADER)  # fmt: skip
    if version != VERSION:
        raise _malformed(f"version {version}", 16)
    if not FIXED_HEADER_LENGTH <= size <= len(data):
        raise _malformed(f"size field {size}, {len(data)} octets", 10)
    if checksum(data[:size]) != 0:
        raise ChecksumError("wrong checksum", code=ErrorCode.PROTOCOL_ERROR, offset=12)
    if kind == 0:
        raise _malformed("type 0", 17)
    reader.end = extensions_at or size
    source_length, destination_length, flags, request_id = _mandatory(reader, size, extensions_at)
    _check_lengths(afn, protocol_type, nbma_length, source_length, destination_length)
    source_nbma = reader.address(nbma_length)
    subaddress = reader.octets(sub_length)
    source, destination = reader.address(source_length), reader.address(destination_length)
    entries = kind in WITH_ENTRIES
    cies = decode_cies(reader) if entries else ()
    payload = reader.octets(reader.left)
    extensions = decode_extensions(Reader(data, extensions_at, size)) if extensions_at else None
    return Packet(
        kind, flags, request_id, source_nbma, source, destination, cies, extensions, payload,
        hop_count, afn, protocol_type, bytes(snap), subaddress,
    )  # fmt: skip


def encode(packet: Packet) -> bytes:
    """The packet as octets, with size, extension offset and checksum filled in."""
    nbma = to_octets(packet.source_nbma)
    source, destination = to_octets(packet.source_protocol), to_octets(packet.destination_protocol)
    body = b"".join(
        (
            MANDATORY.pack(len(source), len(destination), packet.flags, packet.request_id),
            nbma,
            packet.nbma_subaddress,
            source,
            destination,
            packet.payload,
            *(encode_cie(cie) for cie in packet.cies),
        )
    )
    extensions_at = 0 if packet.extensions is None else FIXED_HEADER_LENGTH + len(body)
    tail = b"" if packet.extensions is None else encode_extensions(packet.extensions)
    size = FIXED_HEADER_LENGTH + len(body) + len(tail)
    head = (packet.afn, packet.protocol_type, packet.snap, packet.hop_count, size)
    rest = (extensions_at, VERSION, packet.type, len(nbma), len(packet.nbma_subaddress))
    whole = HEADER.pack(*head, 0, *rest) + body + tail
    return b"".join((whole[:12], checksum(whole).to_bytes(2, "big"), whole[14:]))


def extension_offset(data: bytes, packet: Packet, kind: int) -> int:
    """The octet of `data` at which its extension of that type begins; 0 when it has none."""
    at = int.from_bytes(data[14:16], "big")
    for extension in packet.extensions or ():
        if extension.type == kind:
            return at
        at += 4 + len(extension.value)
    return 0


def error_indication(about: bytes, code: int, offset: int, nbma: Address, protocol: IpAddress) -> Packet:
    """What to answer to a packet that fails (section 5.2.7), from the station at `protocol`.

    The destination is the source protocol address of the packet in error, where it can be read
    and is one of our own protocol.
    """
    destination: Address = None
    try:
        source = decode(about).source_protocol
        destination = source if isinstance(source, IpAddress) and source.version == protocol.version else None
    except DecodeError:
        pass
    return Packet(
        PacketType.ERROR_INDICATION,
        request_id=(code << 16) | (offset & 0xFFFF),
        source_nbma=nbma,
        source_protocol=protocol,
        destination_protocol=destination,
        extensions=None,
        payload=about[:576],
        protocol_type=PROTOCOL_IPV4 if protocol.version == 4 else PROTOCOL_IPV6,
    )


def _mandatory(reader: Reader, size: int, extensions_at: int) -> tuple[int, int, int, int]:
    if extensions_at and not FIXED_HEADER_LENGTH + MANDATORY.size <= extensions_at <= size:
        raise DecodeError(
            f"extension offset {extensions_at} in a packet of {size}",
            code=ErrorCode.INVALID_EXTENSION,
            offset=14,
        )
    source, destination, flags, request_id = reader.unpack(MANDATORY)
    return source, destination, flags, request_id


def _check_lengths(afn: int, protocol_type: int, nbma: int, source: int, destination: int) -> None:
    """Address lengths that contradict the address family are malformed; unknown families pass."""
    if afn in ADDRESS_LENGTHS and nbma not in (0, ADDRESS_LENGTHS[afn]):
        raise _malformed(f"NBMA address of {nbma} octets in family {afn}", 18)
    wanted = PROTOCOL_LENGTHS.get(protocol_type)
    for length in (source, destination):
        if wanted is not None and length not in (0, wanted):
            raise _malformed(f"protocol address of {length} octets, type {protocol_type:#x}", 20)


def _malformed(message: str, offset: int) -> DecodeError:
    return DecodeError(message, code=ErrorCode.PROTOCOL_ERROR, offset=offset)
