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
from dmvpn_lab.eigrp.constants import PROTOCOL, Opcode, Stub
from dmvpn_lab.eigrp.metric import Metric
from dmvpn_lab.eigrp.packet import Packet, decode, encode
from dmvpn_lab.eigrp.tlv import Exterior, Parameters, Route, Termination
from dmvpn_lab.eigrp.wide import Wide
from tests.simulation.eigrp_network import Network, random_network
from tests.simulation.test_eigrp_hub import SUMMARY, star
from tests.simulation.test_eigrp_wide import mixed_network

RAW_IPV4 = 228
PARTING = "Peer Termination (Graceful Shutdown)"
"""What tshark remarks on a goodbye to one neighbour."""
FIELDS = ("eigrp.opcode", "eigrp.checksum.status", "_ws.expert.message", "_ws.malformed")


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
    outer = Exterior(IPv4Address("10.0.0.1"), 65001, 7, 20, 3)
    route = Route(SUMMARY, Metric(2560, 25600), IPv4Address("10.0.0.12"), outer)
    hub = IPv4Address("10.0.0.1")
    outer_wide = Route(SUMMARY, Wide(10**7, 10_000_000), IPv4Address("10.0.0.12"), outer, hub)
    hello = encode(Packet(Opcode.HELLO, 1, tlvs=(Parameters(15),)))
    sealed = [seal(hello, Key(kind, b"x"), hub, 5) for kind in Kind]
    rare = [
        Packet(Opcode.UPDATE, 1, sequence=3, tlvs=(outer_wide,)),
        Packet(Opcode.SIA_QUERY, 1, sequence=1, tlvs=(route,)),
        Packet(Opcode.SIA_REPLY, 1, sequence=2, tlvs=(route,)),
        Packet(Opcode.HELLO, 1, tlvs=(Termination((IPv4Address("10.0.0.11"),)),)),
    ]
    return sealed + [encode(packet) for packet in rare] + sent(mesh) + sent(deck) + sent(mixed)


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


@pytest.fixture(scope="module")
def dissected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, list[str]]]:
    program = shutil.which("tshark")
    assert program is not None, "tshark is missing; `make setup` installs it"
    packets = talk()
    path: Path = tmp_path_factory.mktemp("tshark") / "eigrp.pcap"
    path.write_bytes(pcap(packets))
    argv = [program, "-n", "-r", str(path), "-T", "fields", "-E", "separator=|"]
    for field in FIELDS:
        argv += ["-e", field]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert len(lines) == len(packets)
    return list(zip(packets, lines, strict=True))


def test_tshark_has_no_complaint_about_any_packet(dissected: list[tuple[bytes, list[str]]]) -> None:
    for data, (opcode, status, complaint, malformed) in dissected:
        packet = decode(data)
        assert int(opcode) == packet.opcode
        assert status in ("1", "Good"), packet
        assert (complaint, malformed) in (("", ""), (PARTING, "")), packet


def test_all_kinds_of_packets_are_among_them(dissected: list[tuple[bytes, list[str]]]) -> None:
    kinds = {decode(data).kind for data, _ in dissected}
    assert kinds == {"hello", "ack", "update", "query", "reply", "sia-query", "sia-reply"}
