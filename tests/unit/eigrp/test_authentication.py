"""Digests against those of real routers, and what a speaker does with a packet that has the wrong one."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmvpn_lab.eigrp import packet
from dmvpn_lab.eigrp.actions import Send
from dmvpn_lab.eigrp.authentication import Key, Kind, opened, seal
from dmvpn_lab.eigrp.config import InterfaceConfig, ProcessConfig
from dmvpn_lab.eigrp.constants import GROUP, Opcode
from dmvpn_lab.eigrp.packet import Packet, decode, encode
from dmvpn_lab.eigrp.speaker import Speaker
from dmvpn_lab.eigrp.tlv import Parameters, Version

HEAD = "0205000000000000000000000000000000000%s"
MD5_TLV = "000200280002001000000001000000000000000000000000"
PARAMETERS, SOFTWARE = "0001000c010001000000000f", "0004000805030000"
TOPOLOGIES = "00f5000c0000000400000000"
ROUTERS = [
    ("password12345", HEAD % "02a" + MD5_TLV, PARAMETERS + SOFTWARE, "1a42aaf8ebe2f766100ea1fa05a5fa55"),
    ("1234567812345", HEAD % "02a" + MD5_TLV, PARAMETERS + SOFTWARE, "f29e7d44351d37e6fc71e2aacca63d28"),
    ("ninja", HEAD % "001" + MD5_TLV, PARAMETERS + SOFTWARE, "212acb1cb76b31a810a9752c5cf6f554"),
]
"""Hellos of IOS on Unix (12.4, 15.4): key, what stands before the digest, what behind it, digest. From the
test vectors of the EIGRP format of John the Ripper, which has them from captures."""
SHA256 = (
    "password12345", "10.0.0.2",
    HEAD % "00a" + "00020038000300200000000000000000" + "00" * 8,
    "0001000c010001000000000f000400080f00020000f5000a000000020000",
    "cff66484cea20c6f58f175f8c004fc6d73be72090e53429c2616309aca38d5f3",
)  # fmt: skip
"""The same, of IOS 15.4; with the sender's address."""
US, PEER = IPv4Address("10.0.0.1"), IPv4Address("10.0.0.11")
MD5, SHA = Key(Kind.MD5, b"dmvpn"), Key(Kind.SHA256, b"dmvpn")
HELLO = encode(Packet(Opcode.HELLO, 1, tlvs=(Parameters(15), Version())))


@pytest.mark.parametrize(("key", "head", "rest", "digest"), ROUTERS)
def test_the_md5_digest_of_real_routers_is_right_with_their_key_only(
    key: str, head: str, rest: str, digest: str
) -> None:
    data = bytes.fromhex(head + digest + rest)
    assert opened(data, Key(Kind.MD5, key.encode()), PEER) == (None, 0)
    assert opened(data, Key(Kind.MD5, b"other"), PEER) == ("wrong-digest", 0)


def test_the_sha_256_digest_of_a_real_router_is_right_from_its_address_only() -> None:
    key, source, head, rest, digest = SHA256
    data = bytes.fromhex(head + digest + rest)
    assert opened(data, Key(Kind.SHA256, key.encode(), 0), IPv4Address(source)) == (None, 0)
    assert opened(data, Key(Kind.SHA256, key.encode(), 0), PEER) == ("wrong-digest", 0)


@pytest.mark.parametrize("key", [MD5, SHA])
def test_a_sealed_packet_is_opened_and_decoded(key: Key) -> None:
    sealed = seal(HELLO, key, PEER, 7)
    assert opened(sealed, key, PEER) == (None, 7)
    assert decode(sealed).tlvs[1:] == decode(HELLO).tlvs
    assert packet.checksum(sealed) == 0


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        (None, "missing"),
        (SHA, "other-type"),
        (Key(Kind.MD5, b"dmvpn", 2), "other-key-id"),
        (Key(Kind.MD5, b"wrong"), "wrong-digest"),
    ],
)
def test_why_a_packet_is_not_authentic(theirs: Key | None, why: str) -> None:
    data = HELLO if theirs is None else seal(HELLO, theirs, PEER, 0)
    assert opened(data, MD5, PEER)[0] == why


@given(st.data())
def test_no_octet_of_a_packet_can_be_changed_under_sha_256(data: st.DataObject) -> None:
    sealed = bytearray(seal(HELLO, SHA, PEER, 7))
    at = data.draw(st.sampled_from([n for n in range(len(sealed)) if n not in (2, 3)]))
    sealed[at] ^= data.draw(st.integers(1, 255))
    assert opened(bytes(sealed), SHA, PEER)[0] is not None


class Ends:
    """Two speakers on one wire, each with a key or none."""

    def __init__(self, ours: Key | None, theirs: Key | None) -> None:
        self.now = 0.0
        self.sent: list[tuple[Speaker, Send]] = []
        self.speakers = {US: speaker(US, ours), PEER: speaker(PEER, theirs)}
        for one in self.speakers.values():
            self.take(one, one.interface_up("tunnel0", 0.0))
        for _ in range(20):
            self.deliver()

    def take(self, one: Speaker, actions: Sequence[object]) -> None:
        self.sent += [(one, each) for each in actions if isinstance(each, Send)]

    def deliver(self) -> None:
        moved, self.sent = self.sent, []
        for sender, send in moved:
            ((source, _),) = [item for item in self.speakers.items() if item[1] is sender]
            for address, other in self.speakers.items():
                if other is not sender and send.destination in (GROUP, address):
                    self.take(other, other.receive("tunnel0", send.data, source, self.now))

    def up(self) -> list[bool]:
        return [any(n.up for n in one.links["tunnel0"].neighbours.values()) for one in self.speakers.values()]


def speaker(address: IPv4Address, key: Key | None) -> Speaker:
    tunnel = InterfaceConfig("tunnel0", IPv4Interface((address, 24)), 1400, 100_000, 100, key=key)
    return Speaker(ProcessConfig(1, address, (tunnel,)), sequence=100, offset_s=1000.0)


@pytest.mark.parametrize("key", [None, MD5, SHA])
def test_routers_with_one_key_become_neighbours(key: Key | None) -> None:
    assert Ends(key, key).up() == [True, True]


@pytest.mark.parametrize(
    ("ours", "theirs", "counted", "counted_there"),
    [
        (MD5, Key(Kind.MD5, b"other"), "auth-wrong-digest", "auth-wrong-digest"),
        (SHA, Key(Kind.SHA256, b"other"), "auth-wrong-digest", "auth-wrong-digest"),
        (SHA, MD5, "auth-other-type", "auth-other-type"),
        (MD5, None, "auth-missing", "auth-off"),
    ],
)
def test_routers_with_other_keys_do_not_and_count_why(
    ours: Key | None, theirs: Key | None, counted: str, counted_there: str
) -> None:
    ends = Ends(ours, theirs)
    assert ends.up() == [False, False]
    assert ends.speakers[US].counters[counted] == 1
    assert ends.speakers[PEER].counters[counted_there] == 1
    assert ends.speakers[US].links["tunnel0"].neighbours == {}


def test_a_packet_of_before_is_a_replay_and_does_not_end_the_adjacency() -> None:
    ends = Ends(SHA, SHA)
    us, peer = ends.speakers[US], ends.speakers[PEER]
    goodbye = Packet(Opcode.HELLO, 1, tlvs=(Parameters(15, (255, 255, 255, 255, 255, 0)),))
    old = seal(encode(goodbye), SHA, PEER, 999)
    us.receive("tunnel0", old, PEER, 1.0)
    assert us.counters["auth-replayed"] == 1
    assert ends.up() == [True, True]
    us.receive("tunnel0", seal(encode(goodbye), SHA, PEER, 1000), PEER, 1.0)
    assert ends.up() == [False, True]
    assert peer.counters["auth-replayed"] == 0


def test_packets_leave_room_for_the_digest() -> None:
    link = speaker(US, SHA)
    link.interface_up("tunnel0", 0.0)
    assert link.links["tunnel0"]._room == 1400 - 20 - 20 - 56
