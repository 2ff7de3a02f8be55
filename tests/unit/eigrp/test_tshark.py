"""The real tshark reads every packet that speakers send to each other, without a complaint."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections import defaultdict
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from dmvpn_lab.eigrp.authentication import Key, Kind, seal
from dmvpn_lab.eigrp.constants import HEADER_LENGTH, PROTOCOL, Flag, Opcode, Stub, TlvType
from dmvpn_lab.eigrp.metric import Metric
from dmvpn_lab.eigrp.packet import Packet, decode, encode
from dmvpn_lab.eigrp.tlv import (
    HEAD,
    Exterior,
    MulticastSequence,
    Parameters,
    Route,
    Sequence,
    StubInfo,
    Termination,
    Version,
)
from dmvpn_lab.eigrp.wide import Wide
from tests.simulation.eigrp_network import Network, random_network
from tests.simulation.test_eigrp_hub import SUMMARY, star
from tests.simulation.test_eigrp_wide import mixed_network

RAW_IPV4 = 228
PARTING = "Peer Termination (Graceful Shutdown)"
"""What tshark remarks on a goodbye to one neighbour."""
FIELDS = ("eigrp.opcode", "eigrp.checksum.status", "_ws.expert.message", "_ws.malformed")


HUB, FAR = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.12")
START = (Parameters(15), Version())
LEAKING = encode(Packet(Opcode.HELLO, 1, tlvs=(*START, StubInfo(Stub.CONNECTED | Stub.SUMMARY | Stub.LEAK))))
OTHER_STUB = encode(Packet(Opcode.HELLO, 1, tlvs=(*START, StubInfo(
    Stub.STATIC | Stub.REDISTRIBUTED | Stub.RECEIVE_ONLY))))  # fmt: skip
CONDITIONAL = encode(Packet(Opcode.HELLO, 1, tlvs=(*START, Sequence((HUB, FAR)), MulticastSequence(77))))
FIRST = encode(Packet(Opcode.UPDATE, 1, Flag.INIT, 5))
OPTIONS = ("connected", "static", "summary", "redist", "leakmap", "recvonly")
READ_AS = {
    "a stub that leaks": (LEAKING, {f"eigrp.stub_options.{each}": value for each, value in zip(
        OPTIONS, ("1", "0", "1", "0", "1", "0"), strict=True)}),
    "a stub of the other kinds": (OTHER_STUB, {f"eigrp.stub_options.{each}": value for each, value in zip(
        OPTIONS, ("0", "1", "0", "1", "0", "1"), strict=True)}),
    "who must not take the next packet": (
        CONDITIONAL, {"eigrp.seq.ipv4addr": "10.0.0.1,10.0.0.12", "eigrp.next_mcast_seq": "77"}),
    "a hello with MD5": (seal(LEAKING, Key(Kind.MD5, b"x", 7), HUB, 5), {
        "eigrp.auth.type": "2", "eigrp.auth.length": "16", "eigrp.auth.keyid": "7",
        "eigrp.auth.keyseq": "5", "eigrp.stub_options.leakmap": "1"}),
    "conditional receive with HMAC-SHA-256": (seal(CONDITIONAL, Key(Kind.SHA256, b"x", 7), HUB, 5), {
        "eigrp.auth.type": "3", "eigrp.auth.length": "32", "eigrp.auth.keyid": "7",
        "eigrp.auth.keyseq": "5", "eigrp.next_mcast_seq": "77"}),
    "a first update with MD5, which has nothing behind the digest": (
        seal(FIRST, Key(Kind.MD5, b"x"), HUB, 5), {"eigrp.auth.type": "2", "eigrp.opcode": "1"}),
}  # fmt: skip
"""Packets, and what tshark is to say of them."""
BIT = {"True": "1", "False": "0"}
"""As newer ones say it."""


def talk() -> list[bytes]:
    """Packets of a lossy network with failures, of a deck's lab, and a few that are rare."""
    mesh = random_network(3, routers=5, loss=0.1)
    deck = star(3, hub={"summaries": (SUMMARY,)}, stub=int(Stub.CONNECTED | Stub.SUMMARY))
    mixed = mixed_network()
    for network in (mesh, deck, mixed):
        network.keep_packets = True
        network.start()
        network.run(40)
    for _ in range(2):
        mesh.disturb(2)
    outer = Exterior(HUB, 65001, 7, 20, 3)
    route = Route(SUMMARY, Metric(2560, 25600), FAR, outer)
    outer_wide = Route(SUMMARY, Wide(10**7, 10_000_000), FAR, outer, HUB)
    told = [data for data, _ in READ_AS.values()]
    rare = [
        Packet(Opcode.UPDATE, 1, sequence=3, tlvs=(outer_wide,)),
        Packet(Opcode.SIA_QUERY, 1, sequence=1, tlvs=(route,)),
        Packet(Opcode.SIA_REPLY, 1, sequence=2, tlvs=(route,)),
        Packet(Opcode.HELLO, 1, tlvs=(Termination((IPv4Address("10.0.0.11"),)),)),
    ]
    return told + [encode(packet) for packet in rare] + sent(mesh) + sent(deck) + sent(mixed)


def sent(network: Network) -> list[bytes]:
    """The first 150 of each kind."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for _, _, send in network.sent:
        found[decode(send.data).kind].append(send.data)
    return [data for kind in found.values() for data in kind[:150]]


def pcap(packets: list[bytes]) -> bytes:
    """A capture of IPv4 packets."""
    parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IPV4)]
    for data in packets:
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0xC0, 20 + len(data), 0, 0, 1, PROTOCOL, 0,
                           bytes([10, 0, 0, 1]), bytes([224, 0, 0, 10]))  # fmt: skip
        parts.append(struct.pack("<IIII", 0, 0, 20 + len(data), 20 + len(data)) + head + data)
    return b"".join(parts)


def read(folder: Path, packets: list[bytes], fields: tuple[str, ...]) -> list[list[str]]:
    """What tshark says of each packet, field by field."""
    program = shutil.which("tshark")
    assert program is not None, "tshark is missing; `make unit` installs it"
    path = folder / "eigrp.pcap"
    path.write_bytes(pcap(packets))
    argv = [program, "-n", "-r", str(path), "-T", "fields", "-E", "separator=|"]
    for field in fields:
        argv += ["-e", field]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert len(lines) == len(packets)
    return lines


@pytest.fixture(scope="module")
def dissected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, list[str]]]:
    packets = talk()
    return list(zip(packets, read(tmp_path_factory.mktemp("tshark"), packets, FIELDS), strict=True))


def test_tshark_has_no_complaint_about_any_packet(dissected: list[tuple[bytes, list[str]]]) -> None:
    for data, (opcode, status, complaint, malformed) in dissected:
        packet = decode(data)
        assert int(opcode) == packet.opcode
        assert status in ("1", "Good"), packet
        assert (complaint, malformed) in (("", ""), (PARTING, "")), packet


def test_all_kinds_of_packets_are_among_them(dissected: list[tuple[bytes, list[str]]]) -> None:
    kinds = {decode(data).kind for data, _ in dissected}
    assert kinds == {"hello", "ack", "update", "query", "reply", "sia-query", "sia-reply"}


def tlvs(data: bytes) -> list[int]:
    """The types in a packet, octets that nothing of ours has read."""
    found, at = [], HEADER_LENGTH
    while at < len(data):
        kind, length = HEAD.unpack_from(data, at)
        found.append(kind)
        at += length
    return found


def test_all_kinds_of_tlvs_are_among_them(dissected: list[tuple[bytes, list[str]]]) -> None:
    assert {kind for data, _ in dissected for kind in tlvs(data)} == set(TlvType)


def test_tshark_reads_in_rare_packets_what_they_are_to_say(tmp_path: Path) -> None:
    fields = tuple(sorted({field for _, wanted in READ_AS.values() for field in wanted}))
    lines = read(tmp_path, [data for data, _ in READ_AS.values()], fields)
    for (name, (_, wanted)), line in zip(READ_AS.items(), lines, strict=True):
        seen = {field: BIT.get(said, said) for field, said in zip(fields, line, strict=True)}
        assert {field: seen[field] for field in wanted} == wanted, name
