"""Whether a packet may be used at all, whatever it wants; and the error for one that may not.

Authentication, hop count, unknown compulsory extensions (RFC 2332, sections 5.3.4, 5.1, 5.3). An
error indication is never answered with another (section 5.2.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.actions import Action, Notify, SendPacket
from dmvpn_lab.nhrp.constants import ErrorCode, ExtensionType, PacketType
from dmvpn_lab.nhrp.extensions import KNOWN, authentic
from dmvpn_lab.nhrp.packet import (
    ChecksumError,
    Packet,
    decode,
    encode,
    error_indication,
    extension_offset,
)
from dmvpn_lab.nhrp.tunnel import Tunnel

HOP_COUNT_OFFSET = 9


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a packet must not be used."""

    code: ErrorCode
    counter: str
    offset: int
    """The octet of the packet that is wrong."""


def decoded(tunnel: Tunnel, data: bytes) -> Packet | None:
    """The packet; None, and counted, when it is malformed."""
    try:
        return decode(data)
    except ChecksumError:
        tunnel.counters[counters.BAD_CHECKSUM] += 1
    except DecodeError:
        tunnel.counters[counters.MALFORMED] += 1
    return None


def refusal(tunnel: Tunnel, packet: Packet, data: bytes) -> Refusal | None:
    """Why the packet must not be used, if so."""
    if packet.type == PacketType.ERROR_INDICATION:
        return None
    if not authentic(packet.extensions or (), tunnel.config.authentication):
        at = extension_offset(data, packet, ExtensionType.AUTHENTICATION)
        return Refusal(ErrorCode.AUTHENTICATION_FAILURE, counters.BAD_AUTHENTICATION, at)
    if packet.hop_count == 0:
        return Refusal(ErrorCode.HOP_COUNT_EXCEEDED, counters.HOP_COUNT_EXCEEDED, HOP_COUNT_OFFSET)
    for each in packet.extensions or ():
        if each.compulsory and each.type not in KNOWN:
            at = extension_offset(data, packet, each.type)
            return Refusal(ErrorCode.UNRECOGNIZED_EXTENSION, counters.UNKNOWN_COMPULSORY_EXTENSION, at)
    return None


def indication(tunnel: Tunnel, outer: IPv4Address, about: bytes, code: ErrorCode, offset: int) -> SendPacket:
    """An error indication about a packet, to whom it came from; it is counted."""
    tunnel.counters[counters.sent(PacketType.ERROR_INDICATION)] += 1
    tunnel.counters[counters.error(code, direction="sent")] += 1
    answer = error_indication(about, code, offset, tunnel.nbma, tunnel.config.address.ip)
    return SendPacket(tunnel.name, outer, encode(answer))


def error(tunnel: Tunnel, outer: IPv4Address, packet: Packet, data: bytes, refused: Refusal) -> list[Action]:
    """Count it, and tell its sender."""
    tunnel.counters[refused.counter] += 1
    actions: list[Action] = [indication(tunnel, outer, data, refused.code, refused.offset)]
    if packet.type == PacketType.REGISTRATION_REQUEST:
        facts = {"interface": tunnel.name, "protocol": str(packet.source_protocol), "nbma": str(outer),
                 "code": int(refused.code), "meaning": refused.counter}  # fmt: skip
        actions.append(Notify("peer-refused", facts))
    return actions
