"""EIGRP packets: what routers sent is read whole and written again octet for octet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from dmvpn_lab.eigrp.constants import UNREACHABLE, Flag, Opcode
from dmvpn_lab.eigrp.metric import Metric, of_link
from dmvpn_lab.eigrp.packet import Packet, checksum, decode, encode
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
from dmvpn_lab.errors import DecodeError
from tests.unit.eigrp.classic import classic
from tests.vectors import eigrp


@pytest.mark.parametrize("name", eigrp.ALL)
def test_a_captured_packet_is_written_again_octet_for_octet(name: str) -> None:
    assert encode(decode(eigrp.ALL[name])) == eigrp.ALL[name]


def test_a_hello_tells_coefficients_hold_time_and_versions() -> None:
    assert decode(eigrp.HELLO) == Packet(
        Opcode.HELLO, 100, tlvs=(Parameters(15, (1, 0, 1, 0, 0, 0)), Version((12, 4, 1, 2)))
    )


def test_the_first_update_has_the_init_flag_and_nothing_else() -> None:
    assert decode(eigrp.INIT) == Packet(Opcode.UPDATE, 100, Flag.INIT, sequence=23)


def test_a_table_is_read_with_its_metrics_and_its_end() -> None:
    packet = decode(eigrp.TABLE)
    assert (packet.flags, packet.sequence, packet.acknowledgment) == (Flag.END_OF_TABLE, 24, 23)
    assert [str(route.prefix) for route in packet.routes] == [
        "192.168.1.0/24", "10.0.0.4/30", "192.168.3.0/24", "10.0.0.12/30",
        "192.168.4.0/24", "10.0.0.8/30", "192.168.2.0/24",
    ]  # fmt: skip
    assert packet.routes[0] == Route(IPv4Network("192.168.1.0/24"), Metric(2560, 25600, 1500, 0))
    assert packet.routes[6].metric == Metric(79360, 256000, 1500, 3)


def test_a_hello_with_an_acknowledgment_number_is_an_acknowledgment() -> None:
    assert decode(eigrp.ACK).is_acknowledgment
    assert not decode(eigrp.HELLO).is_acknowledgment


def test_a_conditional_hello_names_who_must_not_take_the_next_packet() -> None:
    assert decode(eigrp.CONDITIONAL_HELLO).tlvs[2:] == (
        Sequence((IPv4Address("10.0.0.1"),)), MulticastSequence(25),
    )  # fmt: skip


def test_a_poisoned_route_is_unreachable() -> None:
    packet = decode(eigrp.CONDITIONAL_UPDATE)
    assert packet.flags == Flag.CONDITIONAL_RECEIVE
    assert [classic(route).delay for route in packet.routes] == [UNREACHABLE] * 3
    assert not any(route.metric.reachable for route in packet.routes)


def test_the_composite_metric_is_that_of_the_rfcs_ethernet() -> None:
    ethernet = of_link(10_000, 1000, 1500)
    assert (ethernet.bandwidth, ethernet.delay, ethernet.distance) == (256_000, 25_600, 281_600)


def test_a_tunnel_of_9_kbit_has_the_metric_that_routers_print() -> None:
    assert of_link(9, 500_000, 1400).distance == 297_244_416


def test_a_route_gets_longer_and_never_faster_through_a_link() -> None:
    lan, tunnel = of_link(100_000, 100, 1500), of_link(1000, 500_000, 1400)
    through = lan.through(tunnel)
    assert through == Metric(256 * 50_010, 2_560_000, 1400, hops=1)
    assert through.distance == 15_362_560


def test_a_route_of_a_hundred_hops_goes_no_further() -> None:
    assert not Metric(1, 1, hops=100).through(of_link(1000, 10, 1500)).reachable


@pytest.mark.parametrize(
    "tlv",
    [
        Parameters(45, (255, 255, 255, 255, 255, 0)),
        StubInfo(0x0D),
        Termination((IPv4Address("10.0.0.11"),)),
        Unknown(0x00F5, b"\0\1"),
        Route(IPv4Network("0.0.0.0/0"), Metric(1, 2)),
        Route(IPv4Network("10.1.2.3/32"), Metric(1, 2, tag=7, flags=4), IPv4Address("10.0.0.12")),
        Route(
            IPv4Network("10.128.0.0/9"),
            Metric(1, 2),
            exterior=Exterior(IPv4Address("10.0.0.1"), 65001, 7, 20, 3),
        ),
    ],
    ids=lambda tlv: type(tlv).__name__,
)
def test_each_tlv_comes_back_as_it_was(tlv: object) -> None:
    packet = Packet(Opcode.UPDATE, 1, sequence=9, tlvs=(tlv,))  # type: ignore[arg-type]
    assert decode(encode(packet)) == packet


def repaired(data: bytes) -> bytes:
    """With a checksum that fits."""
    data = data[:2] + bytes(2) + data[4:]
    return data[:2] + checksum(data).to_bytes(2, "big") + data[4:]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 octets"),
        (eigrp.INIT[:19], "19 octets"),
        (repaired(b"\1" + eigrp.INIT[1:]), "version 1"),
        (eigrp.INIT[:2] + b"\0\0" + eigrp.INIT[4:], "wrong checksum"),
        (repaired(eigrp.INIT + b"\0\1"), "a TLV without length"),
        (repaired(eigrp.INIT + b"\0\1\0\3"), "of 3 octets"),
        (repaired(eigrp.INIT + b"\0\1\0\x10"), "of 16 octets, 4 left"),
        (repaired(eigrp.INIT + b"\0\1\0\5\1"), "a value of 1 octets, not 8"),
        (repaired(eigrp.INIT + b"\0\3\0\6\4\1"), "an address of 4 octets, 1 left"),
        (repaired(eigrp.INIT + b"\0\3\0\5\0"), "an address of 0 octets"),
        (repaired(eigrp.TABLE[:20] + b"\1\2\0\x18" + eigrp.TABLE[24:44]), "a route of 20 octets"),
        (repaired(eigrp.TABLE[:20] + b"\1\2\0\x1b" + eigrp.TABLE[24:47]), "a prefix of 24 bits in 2 octets"),
        (repaired(eigrp.TABLE[:44] + b"\x21" + eigrp.TABLE[45:48]), "a prefix of 33 bits"),
        (repaired(eigrp.TABLE[:44] + b"\x17" + eigrp.TABLE[45:48]), "bits beyond the prefix length 23"),
    ],
)
def test_what_is_malformed_is_refused_with_the_reason(data: bytes, message: str) -> None:
    if len(data) == 48:
        data = repaired(data[:22] + b"\0\x1c" + data[24:])
    with pytest.raises(DecodeError, match=message):
        decode(data)
