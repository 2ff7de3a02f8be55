"""The TLVs of RFC 7868 sections 6.7 and 6.8.5, each a value with its encoder and decoder.

    +---------------+---------------+-------------------------------+
    |             type              |   length, with these 4 octets |
    +-------------------------------+-------------------------------+
    |                          value ...                            |
    +---------------------------------------------------------------+

A TLV of an unknown type is kept as `Unknown`, octet for octet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.eigrp.constants import K_VALUES, SOFTWARE, TlvType
from dmvpn_lab.eigrp.metric import WIRE as METRIC
from dmvpn_lab.eigrp.metric import decode_metric, encode_metric
from dmvpn_lab.eigrp.wide import WIRE as WIDE
from dmvpn_lab.eigrp.wide import Vector, Wide, decode_wide, encode_wide
from dmvpn_lab.errors import DecodeError

HEAD = struct.Struct("!HH")
_PARAMETER = struct.Struct("!6BH")
_EXTERIOR = struct.Struct("!4sIIIHBB")
_MULTIPROTOCOL = struct.Struct("!HH4s")
AFI_IPV4 = 1
NONE = IPv4Address(0)
SIZES: dict[int, int] = {
    TlvType.PARAMETER: 8,
    TlvType.SOFTWARE_VERSION: 4,
    TlvType.MULTICAST_SEQUENCE: 4,
    TlvType.PEER_INFORMATION: 2,
}
"""Octets of the values that have a fixed size."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Metric coefficients and hold time of the sender."""

    hold_s: int
    k: tuple[int, ...] = K_VALUES
    """K1 to K6."""


@dataclass(frozen=True, slots=True)
class Version:
    """Release of the sender, and version of the TLVs that it speaks."""

    numbers: tuple[int, ...] = SOFTWARE


@dataclass(frozen=True, slots=True)
class Sequence:
    """The neighbours that must not take the next conditional packet."""

    addresses: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class MulticastSequence:
    """The sequence number of the next conditional packet."""

    sequence: int


@dataclass(frozen=True, slots=True)
class StubInfo:
    """The sender is a stub; `stub` says what it announces."""

    stub: int


@dataclass(frozen=True, slots=True)
class Termination:
    """The sender has ended its adjacency with these neighbours."""

    addresses: tuple[IPv4Address, ...]


@dataclass(frozen=True, slots=True)
class Exterior:
    """Where a route from outside of EIGRP comes from (section 6.8.3)."""

    router_id: IPv4Address
    asn: int
    tag: int
    metric: int
    protocol: int
    flags: int = 0
    reserved: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """A destination with its metric."""

    prefix: IPv4Network
    metric: Vector
    """The format of the TLV is that of the metric."""
    next_hop: IPv4Address = NONE
    """0.0.0.0: the sender."""
    exterior: Exterior | None = None
    router_id: IPv4Address = NONE
    """Of the sender; in the wide format only."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A TLV that we do not read."""

    type: int
    value: bytes


Tlv = Parameters | Version | Sequence | MulticastSequence | StubInfo | Termination | Route | Unknown


def encode_tlv(tlv: Tlv) -> bytes:
    """A TLV as octets."""
    kind, value = _value(tlv)
    return HEAD.pack(kind, HEAD.size + len(value)) + value


def _value(tlv: Tlv) -> tuple[int, bytes]:
    match tlv:
        case Route():
            return _encode_route(tlv)
        case Parameters(hold_s, k):
            return TlvType.PARAMETER, _PARAMETER.pack(*k, hold_s)
        case Version(numbers):
            return TlvType.SOFTWARE_VERSION, bytes(numbers)
        case Sequence(addresses):
            return TlvType.SEQUENCE, b"".join(b"\4" + each.packed for each in addresses)
        case MulticastSequence(sequence):
            return TlvType.MULTICAST_SEQUENCE, sequence.to_bytes(4, "big")
        case StubInfo(stub):
            return TlvType.PEER_INFORMATION, stub.to_bytes(2, "big")
        case Termination(addresses):
            return TlvType.PEER_TERMINATION, b"".join(b"\4" + each.packed for each in addresses)
        case Unknown(kind, value):
            return kind, value


def decode_tlvs(data: bytes, offset: int) -> tuple[Tlv, ...]:
    """All TLVs from an offset to the end. Raises DecodeError and nothing else."""
    found: list[Tlv] = []
    while offset < len(data):
        if offset + HEAD.size > len(data):
            raise malformed("a TLV without length", offset)
        kind, length = HEAD.unpack_from(data, offset)
        if length < HEAD.size or offset + length > len(data):
            raise malformed(f"TLV {kind:#06x} of {length} octets, {len(data) - offset} left", offset)
        found.append(_decode(kind, data[offset + HEAD.size : offset + length], offset))
        offset += length
    return tuple(found)


def _decode(kind: int, value: bytes, offset: int) -> Tlv:
    if kind in (TlvType.IPV4_INTERNAL, TlvType.IPV4_EXTERNAL):
        return _decode_route(value, offset, external=kind == TlvType.IPV4_EXTERNAL)
    if kind in (TlvType.WIDE_INTERNAL, TlvType.WIDE_EXTERNAL):
        return _decode_wide_route(value, offset, external=kind == TlvType.WIDE_EXTERNAL)
    size = SIZES.get(kind)
    if size is not None and len(value) != size:
        raise malformed(f"TLV {kind:#06x} with a value of {len(value)} octets, not {size}", offset)
    match kind:
        case TlvType.PARAMETER:
            *k, hold_s = _PARAMETER.unpack(value)
            return Parameters(hold_s, tuple(k))
        case TlvType.SOFTWARE_VERSION:
            return Version(tuple(value))
        case TlvType.MULTICAST_SEQUENCE:
            return MulticastSequence(int.from_bytes(value, "big"))
        case TlvType.PEER_INFORMATION:
            return StubInfo(int.from_bytes(value, "big"))
        case TlvType.SEQUENCE:
            return Sequence(_addresses(value, offset))
        case TlvType.PEER_TERMINATION:
            return Termination(_addresses(value, offset))
        case _:
            return Unknown(kind, value)


def _addresses(value: bytes, offset: int) -> tuple[IPv4Address, ...]:
    """A list in which each address has its length before it; those that are not IPv4 are left out."""
    found, at = [], 0
    while at < len(value):
        length = value[at]
        if length == 0 or at + 1 + length > len(value):
            raise malformed(f"an address of {length} octets, {len(value) - at - 1} left", offset)
        if length == 4:
            found.append(IPv4Address(value[at + 1 : at + 5]))
        at += 1 + length
    return tuple(found)


def _encode_route(route: Route) -> tuple[int, bytes]:
    length = route.prefix.prefixlen
    where = bytes([length]) + route.prefix.network_address.packed[: (length + 7) // 8]
    outer = b""
    if (exterior := route.exterior) is not None:
        outer = _EXTERIOR.pack(
            exterior.router_id.packed, exterior.asn, exterior.tag, exterior.metric,
            exterior.reserved, exterior.protocol, exterior.flags,
        )  # fmt: skip
    if isinstance(route.metric, Wide):
        kind = TlvType.WIDE_INTERNAL if exterior is None else TlvType.WIDE_EXTERNAL
        head = _MULTIPROTOCOL.pack(0, AFI_IPV4, route.router_id.packed)
        return kind, head + encode_wide(route.metric) + route.next_hop.packed + outer + where
    kind = TlvType.IPV4_INTERNAL if exterior is None else TlvType.IPV4_EXTERNAL
    return kind, route.next_hop.packed + outer + encode_metric(route.metric) + where


def _decode_route(value: bytes, offset: int, *, external: bool) -> Route:
    metric_at = 4 + (_EXTERIOR.size if external else 0)
    where_at = metric_at + METRIC.size
    if len(value) <= where_at:
        raise malformed(f"a route of {len(value)} octets", offset)
    return Route(
        _prefix(value, where_at, offset),
        decode_metric(value[metric_at:where_at]),
        IPv4Address(value[:4]),
        _exterior(value, 4) if external else None,
    )


def _decode_wide_route(value: bytes, offset: int, *, external: bool) -> Route | Unknown:
    """The multiprotocol TLV: the topology and address family that are IPv4's base are read."""
    least = _MULTIPROTOCOL.size + WIDE.size + 4 + (_EXTERIOR.size if external else 0)
    if len(value) <= least:
        raise malformed(f"a wide route of {len(value)} octets", offset)
    topology, family, router_id = _MULTIPROTOCOL.unpack_from(value)
    if topology != 0 or family != AFI_IPV4:
        return Unknown(TlvType.WIDE_EXTERNAL if external else TlvType.WIDE_INTERNAL, value)
    metric, attributes = decode_wide(value[_MULTIPROTOCOL.size : _MULTIPROTOCOL.size + WIDE.size])
    at = _MULTIPROTOCOL.size + WIDE.size + attributes
    if len(value) <= least + attributes:
        raise malformed(f"{attributes} octets of attributes in a route of {len(value)}", offset)
    exterior = _exterior(value, at + 4) if external else None
    where = _prefix(value, least + attributes, offset)
    return Route(where, metric, IPv4Address(value[at : at + 4]), exterior, IPv4Address(router_id))


def _exterior(value: bytes, at: int) -> Exterior:
    router_id, asn, tag, metric, reserved, protocol, flags = _EXTERIOR.unpack_from(value, at)
    return Exterior(IPv4Address(router_id), asn, tag, metric, protocol, flags, reserved)


def _prefix(value: bytes, where_at: int, offset: int) -> IPv4Network:
    length, octets = value[where_at], value[where_at + 1 :]
    if length > 32 or len(octets) != (length + 7) // 8:
        raise malformed(f"a prefix of {length} bits in {len(octets)} octets", offset)
    address = int.from_bytes(octets.ljust(4, b"\0"), "big")
    if length < 32 and address & ((1 << (32 - length)) - 1):
        raise malformed(f"bits beyond the prefix length {length}", offset)
    return IPv4Network((address, length))


def malformed(message: str, offset: int) -> DecodeError:
    """The error of a packet that is not EIGRP as RFC 7868 writes it."""
    return DecodeError(message, code=0, offset=offset)
