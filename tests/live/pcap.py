"""Reads what `dmvpn-lab capture` has written: whole records to the last octet, or it is no capture.

global header  24 octets: magic, version, zone, accuracy, longest, link type
record         16 octets (seconds, fraction, captured length, length), then the packet
"""

from __future__ import annotations

import struct
from pathlib import Path

from tests.live import capture

GLOBAL_OCTETS, RECORD_OCTETS = 24, 16
MAGIC = 0xA1B2C3D4
ETHERNET, ETHERNET_OCTETS = 1, 14


def packets(path: Path) -> tuple[int, list[bytes]]:
    """The link type and all packets. AssertionError for a file that is not whole."""
    data = path.read_bytes()
    assert len(data) >= GLOBAL_OCTETS, f"no whole header: {data.hex()}"
    (magic,), (link_type,) = struct.unpack_from("=I", data), struct.unpack_from("=I", data, 20)
    assert magic == MAGIC, hex(magic)
    found, at = [], GLOBAL_OCTETS
    while at < len(data):
        assert at + RECORD_OCTETS <= len(data), f"a record's head is cut at {at} of {len(data)}"
        (length,) = struct.unpack_from("=I", data, at + 8)
        at += RECORD_OCTETS + length
        assert at <= len(data), f"a packet is cut: {at} of {len(data)}"
        found.append(data[at - length : at])
    return link_type, found


def frames(path: Path) -> list[capture.Frame]:
    """The IPv4 packets of a capture of one Ethernet line."""
    link_type, found = packets(path)
    assert link_type == ETHERNET
    return [
        capture.frame(path.stem, data[ETHERNET_OCTETS:])
        for data in found
        if struct.unpack_from("!H", data, 12) == (capture.ETH_P_IP,)
    ]
