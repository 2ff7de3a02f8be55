"""Completing a UDP checksum that the kernel left to the network card (RFC 768).

A local sender's UDP packet reaches a packet socket with only the pseudo header summed up
(CHECKSUM_PARTIAL). No card comes after us, so a copy must be completed before it is sent.
"""

from __future__ import annotations

import struct

IPPROTO_UDP = 17
_UDP_HEADER = 8
_FRAGMENT = 0x3FFF
"""More-fragments bit and offset."""


def internet_sum(data: bytes) -> int:
    """Ones' complement sum in 16-bit words, folded (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def complete_udp_checksum(packet: bytes) -> bytes:
    """The IP packet with its UDP checksum computed anew.

    A packet that is not whole unfragmented UDP, right after its IP header, is returned as it is.
    """
    start = _udp_at(packet)
    if start is None or len(packet) < start + _UDP_HEADER:
        return packet
    (length,) = struct.unpack_from(">H", packet, start + 4)
    if length < _UDP_HEADER or start + length > len(packet):
        return packet
    header = packet[start : start + 6]
    payload = packet[start + _UDP_HEADER : start + length]
    addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    pseudo = addresses + struct.pack(">HH", IPPROTO_UDP, length)
    # 0 means "no checksum", so a sum that comes to 0 is sent as its other form.
    checksum = ~internet_sum(pseudo + header + b"\0\0" + payload) & 0xFFFF or 0xFFFF
    return packet[: start + 6] + struct.pack(">H", checksum) + packet[start + _UDP_HEADER :]


def _udp_at(packet: bytes) -> int | None:
    """Where UDP begins, if it is UDP. The pseudo headers of both families sum up alike."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20 and packet[9] == IPPROTO_UDP:
        (fragment,) = struct.unpack_from(">H", packet, 6)
        return None if fragment & _FRAGMENT else (packet[0] & 0xF) * 4
    if version == 6 and len(packet) >= 40 and packet[6] == IPPROTO_UDP:
        return 40
    return None
