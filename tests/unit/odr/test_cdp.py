"""The CDP codec, and what the real tshark says of its packets inside GRE."""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.odr.cdp import Cdp, checksum, decode, encode

LANS = (IPv4Network("192.168.1.0/24"), IPv4Network("10.128.0.0/9"))
SPOKE = Cdp(15, "spoke-a", IPv4Address("10.0.0.11"), "tunnel0", LANS)
HUB = Cdp(180, "hub", IPv4Address("10.0.0.1"), "tunnel0", gateway=IPv4Address("10.0.0.1"))
ODD = [Cdp(15, "x" * n, IPv4Address("10.0.0.11"), "tunnel0", platform=end) for n in (1, 2) for end in "a\xff"]
"""Packets of odd and even length that end in a low and a high octet."""
RAW_IPV4 = 228
FIELDS = ("cdp.checksum.status", "cdp.deviceid", "cdp.odr_default_gateway", "_ws.expert.message",
          "_ws.malformed")  # fmt: skip


@pytest.mark.parametrize("cdp", [SPOKE, HUB, *ODD])
def test_a_packet_is_read_as_it_was_written(cdp: Cdp) -> None:
    assert decode(encode(cdp)) == cdp


@given(st.binary(max_size=120))
def test_octets_by_chance_are_a_decode_error_or_a_packet(data: bytes) -> None:
    try:
        decode(data)
    except DecodeError:
        return


@given(st.data())
def test_a_packet_with_some_octets_changed_is_a_decode_error_or_a_packet(data: st.DataObject) -> None:
    octets = bytearray(encode(data.draw(st.sampled_from([SPOKE, HUB]))))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(4, len(octets) - 1))] = data.draw(st.integers(0, 255))
    octets[2:4] = checksummed(bytes(octets))
    with contextlib.suppress(DecodeError):
        decode(bytes(octets))


def checksummed(octets: bytes) -> bytes:
    return checksum(octets[:2] + b"\0\0" + octets[4:]).to_bytes(2, "big")


def test_a_wrong_checksum_is_refused() -> None:
    octets = bytearray(encode(SPOKE))
    octets[-1] ^= 1
    with pytest.raises(DecodeError, match="checksum"):
        decode(bytes(octets))


@pytest.mark.program("tshark")
def test_tshark_reads_it_inside_gre_without_complaint(tmp_path: Path) -> None:
    program = shutil.which("tshark")
    assert program is not None, "tshark is missing; `make unit` installs it"
    packets = [SPOKE, HUB, *ODD]
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IPV4)]
    for cdp in packets:
        data = struct.pack("!HH", 0, 0x2000) + encode(cdp)
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 0, 0, 64, 47, 0,
                           bytes([172, 16, 1, 1]), bytes([172, 17, 0, 1]))  # fmt: skip
        parts.append(struct.pack("<IIII", 0, 0, 20 + len(data), 20 + len(data)) + head + data)
    path = tmp_path / "cdp.pcap"
    path.write_bytes(b"".join(parts))
    argv = [program, "-n", "-r", str(path), "-T", "fields", "-E", "separator=|"]
    for field in FIELDS:
        argv += ["-e", field]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    read = [line.split("|") for line in done.stdout.splitlines()]
    gateways = ["" if cdp.gateway is None else str(cdp.gateway) for cdp in packets]
    assert [line[0] in ("1", "Good") for line in read] == [True] * len(packets), read
    assert [line[1:] for line in read] == [
        [cdp.device, gateway, "", ""] for cdp, gateway in zip(packets, gateways, strict=True)
    ]
