"""The CDP packet, as far as on-demand routing needs it.

There is no RFC; the layout is that of Cisco's "CDP frame formats" and of what dissectors read.

    +---------------+---------------+-------------------------------+
    | version (2)   | holding time  |           checksum            |
    +---------------+---------------+-------------------------------+
    |             type              |   length, with these 4 octets |
    +-------------------------------+-------------------------------+
    |                          value ...                            |
    +---------------------------------------------------------------+

Type 0x0007 holds what ODR is about: five octets for each prefix of a stub (network, then length), or
four octets only, the address of a hub that is to be the default gateway.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.errors import DecodeError

VERSION = 2
ROUTER = 0x1
"""The capability."""
_HEAD = struct.Struct("!BBH")
_TLV = struct.Struct("!HH")
_IPV4 = b"\x01\x01\xcc\x00\x04"
"""An address of protocol type NLPID, one octet: IPv4; four octets follow."""
PREFIX = 5
"""Octets of a prefix."""


class TlvType(IntEnum):
    """What a TLV is."""

    DEVICE = 0x0001
    ADDRESSES = 0x0002
    PORT = 0x0003
    CAPABILITIES = 0x0004
    SOFTWARE = 0x0005
    PLATFORM = 0x0006
    PREFIXES = 0x0007


@dataclass(frozen=True, slots=True)
class Cdp:
    """One CDP packet."""

    hold_s: int
    """Without another one for so long, the sender is gone."""
    device: str
    address: IPv4Address | None
    """The sender's first IPv4 address on that interface."""
    port: str = ""
    prefixes: tuple[IPv4Network, ...] = ()
    """What a stub says is connected to it."""
    gateway: IPv4Address | None = None
    """What a hub says is the default gateway."""
    software: str = "dmvpn-lab"
    platform: str = "Linux"


def encode(cdp: Cdp) -> bytes:
    """The packet as octets, with its checksum."""
    tlvs = [(TlvType.DEVICE, cdp.device.encode())]
    if cdp.address is not None:
        tlvs.append((TlvType.ADDRESSES, (1).to_bytes(4, "big") + _IPV4 + cdp.address.packed))
    tlvs += [
        (TlvType.PORT, cdp.port.encode()),
        (TlvType.CAPABILITIES, ROUTER.to_bytes(4, "big")),
        (TlvType.SOFTWARE, cdp.software.encode()),
        (TlvType.PLATFORM, cdp.platform.encode()),
    ]
    if cdp.gateway is not None:
        tlvs.append((TlvType.PREFIXES, cdp.gateway.packed))
    elif cdp.prefixes:
        value = b"".join(p.network_address.packed + bytes([p.prefixlen]) for p in cdp.prefixes)
        tlvs.append((TlvType.PREFIXES, value))
    body = b"".join(_TLV.pack(kind, _TLV.size + len(value)) + value for kind, value in tlvs)
    whole = checksum(_HEAD.pack(VERSION, cdp.hold_s, 0) + body)
    return _HEAD.pack(VERSION, cdp.hold_s, whole) + body


def decode(data: bytes) -> Cdp:
    """A packet from octets; TLVs that ODR does not need are passed over.

    Raises DecodeError and nothing else."""
    if len(data) < _HEAD.size:
        raise _malformed(f"{len(data)} octets", 0)
    version, hold_s, said = _HEAD.unpack_from(data)
    if version not in (1, VERSION):
        raise _malformed(f"version {version}", 0)
    if checksum(data[:2] + b"\0\0" + data[4:]) != said:
        raise _malformed("wrong checksum", 2)
    device, port, software, platform = "", "", "", ""
    address: IPv4Address | None = None
    gateway: IPv4Address | None = None
    prefixes: tuple[IPv4Network, ...] = ()
    for kind, value, at in _tlvs(data):
        match kind:
            case TlvType.DEVICE:
                device = value.decode(errors="replace")
            case TlvType.PORT:
                port = value.decode(errors="replace")
            case TlvType.SOFTWARE:
                software = value.decode(errors="replace")
            case TlvType.PLATFORM:
                platform = value.decode(errors="replace")
            case TlvType.ADDRESSES:
                address = _address(value, at)
            case TlvType.PREFIXES if len(value) == 4:
                gateway = IPv4Address(value)
            case TlvType.PREFIXES:
                prefixes = _prefixes(value, at)
    return Cdp(hold_s, device, address, port, prefixes, gateway, software, platform)


def _tlvs(data: bytes) -> list[tuple[int, bytes, int]]:
    found, at = [], _HEAD.size
    while at < len(data):
        if at + _TLV.size > len(data):
            raise _malformed("a TLV without length", at)
        kind, length = _TLV.unpack_from(data, at)
        if length < _TLV.size or at + length > len(data):
            raise _malformed(f"TLV {kind:#06x} of {length} octets, {len(data) - at} left", at)
        found.append((kind, data[at + _TLV.size : at + length], at))
        at += length
    return found


def _address(value: bytes, offset: int) -> IPv4Address | None:
    """The first IPv4 address of a list; the others may be of any protocol."""
    at = 4
    if len(value) < at:
        raise _malformed("addresses without a number", offset)
    for _ in range(int.from_bytes(value[:at], "big")):
        if at + 2 > len(value) or (end := at + 2 + value[at + 1]) + 2 > len(value):
            raise _malformed("an address that is cut off", offset)
        length = int.from_bytes(value[end : end + 2], "big")
        octets = value[end + 2 : end + 2 + length]
        if len(octets) < length:
            raise _malformed("an address that is cut off", offset)
        if value[at : end + 2] == _IPV4:
            return IPv4Address(octets)
        at = end + 2 + length
    return None


def _prefixes(value: bytes, offset: int) -> tuple[IPv4Network, ...]:
    if len(value) % PREFIX:
        raise _malformed(f"prefixes in {len(value)} octets", offset)
    found = []
    for at in range(0, len(value), PREFIX):
        length = value[at + 4]
        if length > 32:
            raise _malformed(f"a prefix of {length} bits", offset)
        found.append(IPv4Network((value[at : at + 4], length), strict=False))
    return tuple(found)


def checksum(data: bytes) -> int:
    """That of IP (RFC 1071), but Cisco adds the last octet of an odd number as a signed one."""
    total = 0
    if len(data) % 2:
        last = data[-1]
        if last & 0x80:  # sign extended, and one less
            total = 0xFF00 | ((last - 1) & 0xFF)
            data = data[:-1]
        else:
            data = data[:-1] + b"\0" + bytes([last])
    total += sum(int(word) for (word,) in struct.iter_unpack("!H", data))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total ^ 0xFFFF


def _malformed(message: str, offset: int) -> DecodeError:
    return DecodeError(message, code=0, offset=offset)
