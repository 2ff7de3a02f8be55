"""Properties of the codec: all that can be written is read again; junk is a DecodeError, nothing else."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hypothesis import example, given
from hypothesis import strategies as st

from dmvpn_lab.eigrp.config import InterfaceConfig, ProcessConfig
from dmvpn_lab.eigrp.metric import Metric
from dmvpn_lab.eigrp.packet import Packet, checksum, decode, encode
from dmvpn_lab.eigrp.speaker import Speaker
from dmvpn_lab.eigrp.tlv import (
    Exterior,
    MulticastSequence,
    Parameters,
    Route,
    Sequence,
    StubInfo,
    Termination,
    Unknown,
    Version,
)
from dmvpn_lab.eigrp.wide import Wide
from dmvpn_lab.errors import DecodeError
from tests.vectors import eigrp

OCTET, SHORT, WORD = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
ADDRESS = st.builds(IPv4Address, WORD)
ADDRESSES = st.lists(ADDRESS, max_size=4).map(tuple)
METRIC = st.builds(Metric, WORD, WORD, st.integers(0, 2**24 - 1), OCTET, OCTET, OCTET, OCTET, OCTET)
LONG = st.integers(0, 2**48 - 1)
WIDE = st.builds(Wide, LONG, LONG, st.integers(0, 2**24 - 1), OCTET, OCTET, OCTET, SHORT, OCTET)
PREFIX = st.tuples(WORD, st.integers(0, 32)).map(lambda pair: IPv4Network(pair, strict=False))
EXTERIOR = st.builds(Exterior, ADDRESS, WORD, WORD, WORD, OCTET, OCTET, SHORT)
UNKNOWN_TYPES = SHORT.filter(lambda kind: kind not in (*range(1, 8), 0x102, 0x103, 0x602, 0x603))
TLV = st.one_of(
    st.builds(Parameters, SHORT, st.tuples(*[OCTET] * 6)),
    st.builds(Version, st.tuples(*[OCTET] * 4)),
    st.builds(Sequence, ADDRESSES),
    st.builds(Termination, ADDRESSES),
    st.builds(MulticastSequence, WORD),
    st.builds(StubInfo, SHORT),
    st.builds(Route, PREFIX, METRIC, ADDRESS, st.none() | EXTERIOR),
    st.builds(Route, PREFIX, WIDE, ADDRESS, st.none() | EXTERIOR, ADDRESS),
    st.builds(Unknown, UNKNOWN_TYPES, st.binary(max_size=20)),
)
PACKET = st.builds(Packet, OCTET, SHORT, WORD, WORD, WORD, st.lists(TLV, max_size=6).map(tuple), SHORT)


@given(PACKET)
def test_every_packet_comes_back_as_it_was(packet: Packet) -> None:
    assert decode(encode(packet)) == packet


@given(st.binary(max_size=200), st.booleans())
def test_junk_is_a_decode_error_and_nothing_else(data: bytes, begins_well: bool) -> None:
    if begins_well:
        data = fitting(eigrp.INIT + data)
    with contextlib.suppress(DecodeError):
        assert encode(decode(data)) is not None


@given(st.sampled_from(sorted(eigrp.ALL)), st.data())
def test_a_captured_packet_with_changed_octets_is_read_or_refused(name: str, data: st.DataObject) -> None:
    octets = bytearray(eigrp.ALL[name])
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(OCTET)
    with contextlib.suppress(DecodeError):
        decode(fitting(bytes(octets)))


@given(st.lists(st.tuples(PACKET, st.integers(0, 2)), max_size=12))
@example([(Packet(1, 1, 1, 5), 0)])
def test_a_speaker_survives_any_packets_in_any_order(packets: list[tuple[Packet, int]]) -> None:
    address = IPv4Interface("10.0.0.1/24")
    config = InterfaceConfig("eth0", address, 1400, 1000, 100, split_horizon=False, next_hop_self=False)
    speaker = Speaker(ProcessConfig(1, address.ip, (config,)))
    speaker.interface_up("eth0", 0.0)
    hello = encode(Packet(5, 1, tlvs=(Parameters(15),)))
    now = 0.0
    for number in range(2):
        speaker.receive("eth0", hello, IPv4Address(f"10.0.0.{number + 2}"), now)
    for packet, sender in packets:
        now += 0.7
        ours = Packet(
            packet.opcode % 12, 1, packet.flags, packet.sequence, packet.acknowledgment, packet.tlvs
        )
        speaker.receive("eth0", encode(ours), IPv4Address(f"10.0.0.{sender + 2}"), now)
        speaker.tick(now)
    assert speaker.counters["malformed"] == 0


def fitting(data: bytes) -> bytes:
    """With the version and a checksum that let a decoder go on."""
    data = b"\2" + data[1:2] + bytes(2) + data[4:]
    return data[:2] + checksum(data).to_bytes(2, "big") + data[4:]
