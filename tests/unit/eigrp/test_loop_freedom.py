"""What DUAL rests on: a neighbour that is not asked before our distance grows knows none of ours."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from dmvpn_lab.eigrp.constants import UNREACHABLE, Flag, Opcode
from dmvpn_lab.eigrp.dual import Event, Path, Topology
from dmvpn_lab.eigrp.metric import NO_ROUTE, Metric
from dmvpn_lab.eigrp.tlv import Route
from tests.unit.eigrp.classic import classic
from tests.unit.eigrp.test_speaker import FAR, HOLD, LAN, NEAR, A, B, Stage


def test_a_question_of_a_neighbour_that_is_still_pending_is_answered_with_unreachable() -> None:
    stage = Stage(split_horizon=False)
    stage.befriend(A)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    stage.hear(B, Opcode.HELLO, HOLD)
    (init,) = [p for to, p in stage.take() if to == B]
    stage.hear(B, Opcode.UPDATE, seq=1, flags=Flag.INIT)  # it has not acknowledged ours
    stage.hear(B, Opcode.QUERY, Route(LAN, NO_ROUTE), seq=2)
    stage.take()
    stage.hear(B, Opcode.HELLO, ack=init.sequence)
    said = [p for to, p in stage.take() if to == B and p.routes]
    stage.hear(B, Opcode.HELLO, ack=said[0].sequence)
    said += [p for to, p in stage.take() if to == B and p.routes]
    reply, table = said
    assert (reply.opcode, [classic(r).delay for r in reply.routes]) == (Opcode.REPLY, [UNREACHABLE])
    assert LAN in {r.prefix for r in table.routes if classic(r).delay < UNREACHABLE}


def test_a_newcomer_hears_of_an_active_destination_when_its_computation_is_over() -> None:
    stage = Stage(split_horizon=False)
    stage.befriend(A, B)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    stage.hear(A, Opcode.UPDATE, Route(LAN, FAR), seq=3)  # longer: B is asked, for A could lie behind it
    for to, packet in stage.take():
        if packet.sequence:
            stage.hear(to, Opcode.HELLO, ack=packet.sequence)
    entry = stage.speaker.topology.entries[LAN]
    if not entry.active:
        stage.hear(A, Opcode.UPDATE, Route(LAN, NO_ROUTE), seq=4)
    assert entry.active
    c = IPv4Address("10.0.0.13")
    stage.hear(c, Opcode.HELLO, HOLD)
    (init,) = [p for to, p in stage.take() if to == c and p.flags & Flag.INIT]
    stage.hear(c, Opcode.UPDATE, seq=1, ack=init.sequence, flags=Flag.INIT)
    (table,) = [p for to, p in stage.take() if to == c and p.flags & Flag.END_OF_TABLE]
    assert LAN not in {r.prefix for r in table.routes}


def test_the_loss_of_one_of_two_equal_ways_is_said_where_split_horizon_was_silent() -> None:
    topology = Topology(list)
    one, two = ("eth1", A), ("eth2", B)
    path = Path(NEAR, NEAR.through(Metric(256, 25600)), A)
    for peer in (one, two):
        topology.hear(Event.UPDATE, IPv4Network("192.168.1.0/24"), peer, path)
    topology.take()
    topology.withdraw(LAN, two)
    assert topology.entries[LAN].successors == (one,)
    assert list(topology.take().updates) == [LAN]
