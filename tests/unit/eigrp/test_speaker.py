"""One speaker and what its neighbours say to it, packet by packet, like a play."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest

from dmvpn_lab.eigrp.actions import Action, InstallRoute, NextHop, Notify, RemoveRoute, Send
from dmvpn_lab.eigrp.config import InterfaceConfig, ProcessConfig
from dmvpn_lab.eigrp.constants import GROUP, RETRIES, Flag, Opcode
from dmvpn_lab.eigrp.metric import NO_ROUTE, Metric
from dmvpn_lab.eigrp.packet import Packet, decode, encode
from dmvpn_lab.eigrp.speaker import Speaker
from dmvpn_lab.eigrp.tlv import MulticastSequence, Parameters, Route, Sequence, StubInfo, Tlv

A, B, US = (IPv4Address(f"10.0.0.{n}") for n in (11, 12, 1))
LAN, OTHER = IPv4Network("192.168.1.0/24"), IPv4Network("192.168.9.0/24")
NEAR, FAR = Metric(2560, 25600), Metric(256_000, 25600)
HOLD = Parameters(15)


class Stage:
    """A speaker on one tunnel, and the packets that it sent."""

    def __init__(self, **changes: Any) -> None:
        settings: dict[str, Any] = {"mtu": 1400, "bandwidth_kbps": 100_000, "delay_us": 100} | changes
        tunnel = InterfaceConfig("tunnel0", IPv4Interface("10.0.0.1/24"), **settings)
        lan = InterfaceConfig("eth2", IPv4Interface("192.168.0.1/24"), 1500, 100_000, 100, passive=True)
        self.speaker = Speaker(ProcessConfig(1, US, (tunnel, lan)), sequence=100)
        self.now = 0.0
        self.packets: list[tuple[IPv4Address, Packet]] = []
        self.others: list[Action] = []
        self.do(self.speaker.interface_up("eth2", 0.0))
        self.do(self.speaker.interface_up("tunnel0", 0.0))
        self.take()

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                self.packets.append((action.destination, decode(action.data)))
            else:
                self.others.append(action)

    def take(self) -> list[tuple[IPv4Address, Packet]]:
        """What was sent since the last time, without plain hellos."""
        found = [(to, p) for to, p in self.packets
                 if p.opcode != Opcode.HELLO or p.is_acknowledgment or len(p.tlvs) > 2]  # fmt: skip
        self.packets, self.others = [], []
        return found

    def hear(self, source: IPv4Address, opcode: int, *tlvs: Tlv, seq: int = 0, ack: int = 0, flags: int = 0,
             asn: int = 1) -> None:  # fmt: skip
        packet = Packet(opcode, asn, flags, seq, ack, tlvs)
        self.do(self.speaker.receive("tunnel0", encode(packet), source, self.now))

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (deadline := self.speaker.deadline()) is not None and deadline <= end:
            self.now = deadline
            self.do(self.speaker.tick(self.now))
        self.now = end

    def befriend(self, *peers: IPv4Address, stub: int | None = None) -> None:
        """The whole beginning with each of these neighbours, and what they acknowledge of it."""
        for peer in peers:
            self.hear(peer, Opcode.HELLO, HOLD, *([] if stub is None else [StubInfo(stub)]))
            (init,) = [p for to, p in self.take() if to == peer]
            self.hear(peer, Opcode.UPDATE, seq=1, ack=init.sequence, flags=Flag.INIT)
            for to, packet in self.take():
                if to == peer and packet.sequence:
                    self.hear(peer, Opcode.HELLO, ack=packet.sequence)
        self.take()

    def notes(self) -> list[dict[str, Any]]:
        return [{"name": n.name, **n.facts} for n in self.others if isinstance(n, Notify)]


def test_a_hello_is_answered_by_a_hello_and_an_empty_update_with_the_init_flag() -> None:
    stage = Stage()
    stage.wait(1.0)
    stage.hear(A, Opcode.HELLO, HOLD)
    hello, init = stage.packets
    assert hello == (GROUP, Packet(Opcode.HELLO, 1, tlvs=hello[1].tlvs))
    assert init == (A, Packet(Opcode.UPDATE, 1, Flag.INIT, 101))


def test_the_table_follows_once_the_first_update_is_acknowledged_and_ends_with_its_mark() -> None:
    stage = Stage(split_horizon=False)
    stage.hear(A, Opcode.HELLO, HOLD)
    stage.take()
    stage.hear(A, Opcode.UPDATE, seq=7, ack=101, flags=Flag.INIT)
    assert stage.notes() == [{"name": "eigrp-neighbour-up", "interface": "tunnel0", "neighbour": str(A)}]
    ((to, table),) = stage.take()
    assert (to, table.opcode, table.sequence, table.acknowledgment) == (A, Opcode.UPDATE, 102, 7)
    assert table.flags == Flag.END_OF_TABLE
    assert {str(route.prefix) for route in table.routes} == {"192.168.0.0/24", "10.0.0.0/24"}


def test_nothing_but_the_first_update_is_sent_before_its_acknowledgment() -> None:
    stage = Stage()
    stage.hear(A, Opcode.HELLO, HOLD)
    stage.take()
    stage.hear(A, Opcode.UPDATE, seq=7, flags=Flag.INIT)
    assert [(p.opcode, p.acknowledgment, p.sequence) for _, p in stage.take()] == [(Opcode.HELLO, 7, 0)]
    assert not stage.speaker.links["tunnel0"].neighbours[A].up


def test_an_update_before_the_first_one_is_not_acknowledged() -> None:
    stage = Stage()
    stage.hear(A, Opcode.HELLO, HOLD)
    stage.take()
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=8)
    assert stage.take() == []
    assert LAN not in stage.speaker.topology.entries


def test_a_route_is_installed_and_acknowledged() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    assert InstallRoute(LAN, (NextHop("tunnel0", A),)) in stage.others
    assert [(to, p.acknowledgment) for to, p in stage.take()] == [(A, 2)]


def test_a_packet_that_comes_twice_is_acknowledged_twice_and_used_once() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=5)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NO_ROUTE), seq=6)
    stage.take()
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=5)
    assert stage.others == []
    assert [p.acknowledgment for _, p in stage.take()] == [5]
    assert stage.speaker.topology.entries[LAN].paths == {}


def test_sequence_numbers_wrap() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.hear(A, Opcode.UPDATE, seq=2**31)
    stage.hear(A, Opcode.UPDATE, seq=2**32 - 1)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=1)
    assert LAN in stage.speaker.topology.entries


def test_without_acknowledgment_a_packet_is_sent_sixteen_times_then_the_neighbour_is_reset() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.do(stage.speaker.interface_down("eth2", stage.now))
    sequence = stage.take()[0][1].sequence
    sent = 1
    for _ in range(200):
        stage.wait(1.0)
        stage.hear(A, Opcode.HELLO, HOLD)  # it lives, but does not acknowledge
        sent += sum(p.sequence == sequence and to == A for to, p in stage.packets)
        if any(n["name"] == "eigrp-neighbour-down" for n in stage.notes()):
            break
        stage.take()
    assert stage.notes()[0]["reason"] == "retry limit exceeded"
    assert sent == RETRIES


def test_a_neighbour_that_says_nothing_is_lost_after_its_own_hold_time() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    stage.hear(A, Opcode.HELLO, Parameters(40))
    stage.wait(39.9)
    assert A in stage.speaker.links["tunnel0"].neighbours
    stage.wait(0.2)
    assert stage.notes()[-1]["reason"] == "holding time expired"
    assert RemoveRoute(LAN) in stage.others


def test_who_comes_anew_hears_a_hello_at_once_and_a_crowd_one_a_second() -> None:
    stage = Stage()
    stage.wait(2.0)
    stage.packets.clear()
    for _ in range(5):
        stage.do(stage.speaker.peers_changed("tunnel0", stage.now))
    assert [to for to, packet in stage.packets if packet.opcode == Opcode.HELLO] == [GROUP]
    stage.wait(1.0)
    assert [to for to, packet in stage.packets if packet.opcode == Opcode.HELLO] == [GROUP, GROUP]
    stage.wait(4.0)  # the turns go on from there: the next after the hello time
    assert [to for to, packet in stage.packets if packet.opcode == Opcode.HELLO] == [GROUP, GROUP]


def test_nobody_hears_a_hello_on_a_passive_interface() -> None:
    stage = Stage()
    stage.packets.clear()
    stage.do(stage.speaker.peers_changed("eth2", 9.0))
    assert stage.packets == []


def test_a_goodbye_ends_the_adjacency_at_once() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.hear(A, Opcode.HELLO, Parameters(15, (255, 255, 255, 255, 255, 0)))
    assert stage.notes()[0]["reason"] == "the peer said goodbye"


@pytest.mark.parametrize("k", [(1, 1, 1, 0, 0, 0), (1, 0, 1, 0, 0, 1)])
def test_a_router_with_another_metric_is_no_neighbour(k: tuple[int, ...]) -> None:
    stage = Stage()
    stage.hear(A, Opcode.HELLO, Parameters(15, k))
    assert stage.speaker.links["tunnel0"].neighbours == {}
    assert stage.speaker.counters["k-value-mismatch"] == 1


def test_another_as_and_another_subnet_are_ignored() -> None:
    stage = Stage()
    stage.hear(A, Opcode.HELLO, HOLD, asn=2)
    stage.hear(IPv4Address("10.9.0.1"), Opcode.HELLO, HOLD)
    assert stage.speaker.links["tunnel0"].neighbours == {}
    counters = stage.speaker.counters
    assert (counters["other-asn"], counters["not-on-common-subnet"]) == (1, 1)


def test_a_busy_neighbour_is_named_in_a_hello_and_the_others_get_a_conditional_packet() -> None:
    stage = Stage(split_horizon=False)
    c = IPv4Address("10.0.0.13")
    stage.befriend(A, B, c)
    stage.do(stage.speaker.interface_down("eth2", stage.now))
    ((_, first),) = [(to, p) for to, p in stage.take() if p.sequence]
    lost = Route(IPv4Network("192.168.0.0/24"), NO_ROUTE)
    for peer in (B, c):
        stage.hear(peer, Opcode.REPLY, lost, seq=2, ack=first.sequence)
    stage.take()
    stage.hear(B, Opcode.UPDATE, Route(LAN, NEAR), seq=3)
    hello, packet = [(to, p) for to, p in stage.take() if to == GROUP]
    assert hello[1].tlvs[2:] == (Sequence((A,)), MulticastSequence(packet[1].sequence))
    assert packet[1].flags == Flag.CONDITIONAL_RECEIVE
    assert [route.prefix for route in packet[1].routes] == [LAN]
    stage.hear(A, Opcode.HELLO, ack=first.sequence)
    assert [(to, p.sequence, p.flags) for to, p in stage.take()] == [(A, packet[1].sequence, 0)]


@pytest.mark.parametrize(
    ("named", "following", "taken"),
    [((B,), 9, True), ((B,), 8, False), ((US, B), 9, False), (None, 9, False)],
    ids=["others", "another-number", "us", "no-hello"],
)
def test_a_conditional_packet_is_for_those_who_were_not_named(
    named: tuple[IPv4Address, ...] | None, following: int, taken: bool
) -> None:
    stage = Stage()
    stage.befriend(A)
    if named is not None:
        stage.hear(A, Opcode.HELLO, HOLD, Sequence(named), MulticastSequence(following))
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=9, flags=Flag.CONDITIONAL_RECEIVE)
    assert (LAN in stage.speaker.topology.entries) == taken
    assert [p.acknowledgment for _, p in stage.take()] == ([9] if taken else [])


def test_a_feasible_successor_takes_over_without_a_question() -> None:
    stage = Stage()
    stage.befriend(A, B)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    stage.hear(B, Opcode.UPDATE, Route(LAN, Metric(2816, 25600)), seq=2)
    stage.take()
    stage.hear(A, Opcode.UPDATE, Route(LAN, NO_ROUTE), seq=3)
    assert InstallRoute(LAN, (NextHop("tunnel0", B),)) in stage.others
    assert [p for _, p in stage.take() if p.opcode == Opcode.QUERY] == []


def test_without_a_feasible_successor_the_others_are_asked_first() -> None:
    stage = Stage(split_horizon=False)
    stage.befriend(A, B)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    stage.hear(B, Opcode.UPDATE, Route(LAN, FAR), seq=2)
    for to, packet in stage.take():
        for peer in (A, B) if to == GROUP else (to,):
            stage.hear(peer, Opcode.HELLO, ack=packet.sequence)
    stage.take()
    stage.hear(A, Opcode.UPDATE, Route(LAN, NO_ROUTE), seq=3)
    assert stage.speaker.topology.entries[LAN].active
    assert RemoveRoute(LAN) in stage.others
    (query,) = [p for _, p in stage.take() if p.opcode == Opcode.QUERY]
    assert [(r.prefix, r.metric.reachable) for r in query.routes] == [(LAN, False)]
    stage.hear(A, Opcode.REPLY, Route(LAN, NO_ROUTE), seq=4, ack=query.sequence)
    assert stage.speaker.topology.entries[LAN].active
    stage.hear(B, Opcode.REPLY, Route(LAN, FAR), seq=3, ack=query.sequence)
    assert not stage.speaker.topology.entries[LAN].active
    assert InstallRoute(LAN, (NextHop("tunnel0", B),)) in stage.others


def test_a_question_for_what_nobody_knows_is_answered_with_unreachable() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.hear(A, Opcode.QUERY, Route(OTHER, NO_ROUTE), seq=2)
    ((to, reply),) = stage.take()
    assert (to, reply.opcode, reply.acknowledgment) == (A, Opcode.REPLY, 2)
    assert [(r.prefix, r.metric.reachable) for r in reply.routes] == [(OTHER, False)]


def test_who_does_not_reply_is_asked_how_it_goes_and_then_given_up() -> None:
    stage = Stage(split_horizon=False)
    stage.befriend(A, B)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    stage.hear(B, Opcode.UPDATE, Route(OTHER, NEAR), seq=2)
    asked = 0
    stage.hear(A, Opcode.UPDATE, Route(LAN, NO_ROUTE), seq=3)
    for second in range(400):
        answers = []
        for to, packet in stage.take():
            for peer in (A, B) if to == GROUP else (to,):
                if packet.sequence:
                    stage.hear(peer, Opcode.HELLO, ack=packet.sequence)
                if packet.opcode == Opcode.QUERY and peer == A:
                    answers.append((A, Opcode.REPLY))
                if packet.opcode == Opcode.SIA_QUERY:
                    asked += 1
                    answers.append((peer, Opcode.SIA_REPLY))
        for number, (peer, opcode) in enumerate(answers):
            stage.hear(peer, opcode, Route(LAN, NO_ROUTE), seq=1000 + 10 * second + number)
        stage.hear(A, Opcode.HELLO, HOLD)
        stage.hear(B, Opcode.HELLO, HOLD)
        stage.wait(1.0)
        if any(n["name"] == "eigrp-neighbour-down" for n in stage.notes()):
            break
    assert stage.notes()[0]["reason"] == "stuck in active"
    assert asked == 3
    assert 350 <= stage.now <= 370


def test_an_sia_query_during_a_computation_is_answered_with_the_active_flag() -> None:
    stage = Stage(split_horizon=False)
    stage.befriend(A, B)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    stage.hear(A, Opcode.QUERY, Route(LAN, NO_ROUTE), seq=3)
    for to, packet in stage.take():
        if packet.sequence:
            for peer in (A, B) if to == GROUP else (to,):
                stage.hear(peer, Opcode.HELLO, ack=packet.sequence)
    stage.take()
    stage.hear(A, Opcode.SIA_QUERY, Route(LAN, NO_ROUTE), seq=4)
    (answer,) = [p for _, p in stage.take() if p.opcode == Opcode.SIA_REPLY]
    assert answer.routes[0].metric.flags & 4


def test_a_peer_that_begins_anew_loses_what_it_said() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=2)
    stage.hear(A, Opcode.UPDATE, seq=77, flags=Flag.INIT)
    assert RemoveRoute(LAN) in stage.others
    assert stage.notes()[0]["reason"] == "the peer restarted"
    assert [p.flags for _, p in stage.take() if p.sequence] == [Flag.INIT]


def test_a_peer_that_restarts_gracefully_keeps_it_until_its_end_of_table() -> None:
    stage = Stage()
    stage.befriend(A)
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), Route(OTHER, NEAR), seq=2)
    stage.take()
    stage.hear(A, Opcode.UPDATE, seq=77, flags=Flag.INIT | Flag.RESTART)
    assert [a for a in stage.others if isinstance(a, RemoveRoute)] == []
    (init,) = [p for _, p in stage.take() if p.sequence]
    assert init.flags == Flag.INIT | Flag.RESTART
    stage.hear(A, Opcode.UPDATE, Route(LAN, NEAR), seq=78, ack=init.sequence, flags=Flag.END_OF_TABLE)
    assert [a for a in stage.others if isinstance(a, RemoveRoute)] == [RemoveRoute(OTHER)]


def test_a_passive_interface_hears_and_says_nothing() -> None:
    stage = Stage(passive=True)
    stage.hear(A, Opcode.HELLO, HOLD)
    stage.wait(20)
    assert stage.packets == []
    assert stage.speaker.links["tunnel0"].neighbours == {}


def test_between_two_reliable_packets_lies_the_time_of_a_full_one_at_half_the_bandwidth() -> None:
    stage = Stage(bandwidth_kbps=9)
    stage.hear(A, Opcode.HELLO, HOLD)
    stage.hear(B, Opcode.HELLO, HOLD)
    times: list[float] = []
    for _ in range(100):
        if [p for to, p in stage.packets if p.sequence]:
            times.append(stage.now)
        stage.take()
        stage.wait(0.1)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) >= 1400 * 8 / 4500 - 0.11
