"""What holds for every packet and for every octet string."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.actions import SendPacket
from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import authentication
from dmvpn_lab.nhrp.packet import Packet, decode, encode
from tests.unit.nhrp.builders import agent, carry_out, deliver, hub, request, spoke_config, summed
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, multicast_changes, neighbours, reply
from tests.unit.nhrp.strategies import packets
from tests.vectors import cisco

quick = settings(deadline=None, derandomize=True, max_examples=150)

seeds = st.sampled_from([*sorted(cisco.ALL.values()), encode(request())])


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A sound packet with a few octets changed, cut or grown, and mostly a right checksum."""
    data = bytearray(draw(seeds))
    for _ in range(draw(st.integers(1, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        del data[draw(st.integers(20, len(data))) :]
        data[10:12] = struct.pack("!H", len(data))
    return summed(data) if draw(st.integers(0, 9)) else bytes(data)


@dataclass(frozen=True)
class Asked:
    """A registration request as it might come, and what the kernel will say to its neighbour."""

    protocol: IPv4Address
    outer: IPv4Address
    unique: bool
    holding_time_s: int
    kernel: bool

    def packet(self, number: int = 0) -> Packet:
        """The request; its ID grows with each, and its MTU, so that none is a mere renewal."""
        entry = Cie(prefix_length=32, holding_time_s=self.holding_time_s, mtu=1000 + number)
        return request(self.protocol, self.outer, request_id=number, unique=self.unique, cie=entry)

    def expected(self, model: dict[str, tuple[str, bool]]) -> int:
        """The code of the reply, where these are bound: protocol -> (NBMA, unique)."""
        if self.protocol not in (SPOKE, OTHER) or not self.holding_time_s:
            return 4
        nbma, unique = model.get(str(self.protocol), (str(self.outer), False))
        if unique and nbma != str(self.outer):
            return 14
        return 0 if self.kernel else 5


def asked() -> st.SearchStrategy[Asked]:
    """Requests that often meet."""
    return st.builds(
        Asked,
        protocol=st.sampled_from([SPOKE, SPOKE, OTHER, HUB, IPv4Address("10.9.9.9")]),
        outer=st.sampled_from([SPOKE_NBMA, OTHER_NBMA]),
        unique=st.booleans(),
        holding_time_s=st.sampled_from([300, 300, 1000, 0]),
        kernel=st.sampled_from([True, True, False]),
    )


@quick
@given(packets())
def test_what_was_encoded_is_decoded_as_it_was(packet: Packet) -> None:
    data = encode(packet)
    assert decode(data) == packet
    assert checksum(data) == 0
    assert struct.unpack_from("!H", data, 10) == (len(data),)


@quick
@given(packets(), st.binary(max_size=20))
def test_padding_never_changes_a_packet(packet: Packet, padding: bytes) -> None:
    assert decode(encode(packet) + padding) == packet


@settings(quick, max_examples=1500)
@given(st.one_of(st.binary(max_size=200), mangled()))
@example(b"")
def test_any_octets_are_a_packet_or_a_decode_error_and_nothing_else(data: bytes) -> None:
    refusal: DecodeError | None = None
    try:
        packet = decode(data)
    except DecodeError as error:
        refusal = error
    if refusal is not None:
        assert 0 <= refusal.offset <= max(len(data), 20)
        assert refusal.code in (7, 9)
        return
    again = encode(packet)
    assert decode(again) == packet
    assert encode(decode(again)) == again


@quick
@given(mangled(), st.sampled_from([SPOKE_NBMA, HUB_NBMA, None]))
def test_no_octets_break_an_agent_and_what_it_sends_can_be_read(data: bytes, nbma: object) -> None:
    made = hub()
    deliver(made, request(unique=True))
    for each in carry_out(made, made.receive(TUNNEL, data, nbma, 2.0), 2.0):  # type: ignore[arg-type]
        if isinstance(each, SendPacket):
            sent = decode(each.data)
            assert sent.type != PacketType.ERROR_INDICATION or data[17] != PacketType.ERROR_INDICATION
    made.tick(1e5)
    assert len(bindings(made)) == 0


@quick
@given(st.lists(asked(), min_size=1, max_size=4), st.sampled_from([1, 3, 5]))
def test_packets_without_the_secret_leave_no_state(questions: list[Asked], kind: int) -> None:
    made = hub(authentication="secret")
    deliver(made, replace(request(unique=True), extensions=(authentication("secret"),)))
    before = (made.nhrp(2.0), made.multicast(), made.deadline())
    for each in questions:
        done = deliver(made, replace(each.packet(), type=kind), each.outer, 2.0)
        assert [type(action) for action in done][:1] == [SendPacket]
        assert neighbours(done) == []
    assert (made.nhrp(2.0), made.multicast(), made.deadline()) == before


@quick
@given(st.lists(asked(), min_size=1, max_size=8))
def test_what_is_bound_is_what_was_granted_and_a_refusal_changes_nothing(questions: list[Asked]) -> None:
    """Any row of requests, ten seconds apart, against a model of a few lines."""
    made = hub()
    model: dict[str, tuple[str, bool]] = {}
    for number, each in enumerate(questions):
        now = 10.0 * number
        before = (made.nhrp(now), made.multicast(), made.deadline())
        done = deliver(made, each.packet(number), each.outer, now, ok=each.kernel)
        code = reply(done).cies[0].code
        assert code == each.expected(model)
        if code:
            assert (made.nhrp(now), made.multicast(), made.deadline()) == before
            assert multicast_changes(done) == []
        else:
            model[str(each.protocol)] = (str(each.outer), each.unique)
        assert bindings(made, now) == {protocol: nbma for protocol, (nbma, _) in model.items()}
        assert {entry["nbma"] for entry in made.multicast()} == {nbma for nbma, _ in model.values()}
    made.tick(1e5)
    assert (bindings(made), made.multicast()) == ({}, [])


@quick
@given(packets(), st.sampled_from([SPOKE_NBMA, HUB_NBMA]))
def test_only_the_right_reply_moves_a_client(packet: Packet, outer: object) -> None:
    spoke = agent(spoke_config())
    spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    before = (spoke.nhs(0.5), spoke.nhrp(0.5), spoke.deadline())
    if packet.type == PacketType.ERROR_INDICATION:
        return  # may note an error; its own tests say where
    spoke.receive(TUNNEL, encode(packet), outer, 0.5)  # type: ignore[arg-type]
    assert (spoke.nhs(0.5), spoke.nhrp(0.5), spoke.deadline()) == before
