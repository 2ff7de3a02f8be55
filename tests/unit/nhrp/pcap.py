"""Writes NHRP packets as a capture of GRE in IPv4, for tshark to read."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.constants import ETHERTYPE
from tests.unit.nhrp.deck import HUB_NBMA, SPOKE_NBMA

FILE_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 228)
"""228: the frames begin with an IPv4 header."""
GRE_KEY_PRESENT = 0x2000
IP_PROTOCOL_GRE = 47


def write(path: Path, packets: Iterable[bytes]) -> None:
    """One frame a packet, in their order, a second apart."""
    frames = [_frame(data) for data in packets]
    records = (struct.pack("<IIII", at, 0, len(f), len(f)) + f for at, f in enumerate(frames))
    path.write_bytes(FILE_HEADER + b"".join(records))


def _frame(nhrp: bytes) -> bytes:
    gre = struct.pack("!HHI", GRE_KEY_PRESENT, ETHERTYPE, 1) + nhrp
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(gre), 0, 0, 64, IP_PROTOCOL_GRE, 0)
    head += SPOKE_NBMA.packed + HUB_NBMA.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + gre
