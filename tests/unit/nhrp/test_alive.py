"""A peer that answered directly and does so no more: its shortcut ends, and the hub is the way again."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from dmvpn_lab.nhrp import alive
from dmvpn_lab.nhrp.actions import Action, Notify, RemoveNeighbour, RemoveShortcut
from dmvpn_lab.nhrp.alive import Alive
from dmvpn_lab.nhrp.cache import Binding, Cache
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet, decode, encode
from dmvpn_lab.nhrp.request_ids import RequestIds
from dmvpn_lab.nhrp.tunnel import Tunnel
from tests.unit.nhrp.builders import spoke_config
from tests.unit.nhrp.cloud import Cloud
from tests.unit.nhrp.deck import HUB_NBMA, OTHER, OTHER_NBMA, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.test_phase_3 import cloud, forward

QUESTION = PacketType.RESOLUTION_REQUEST


DIRECT = frozenset({SPOKE_NBMA, OTHER_NBMA})


class Line:
    """A spoke with a shortcut in use, and a kernel that says so every 5 s."""

    def __init__(self) -> None:
        self.made: Cloud = cloud()
        forward(self.made)
        self.made.forget()
        self.spoke = self.made.agents[SPOKE_NBMA]
        self.used = True

    def run(self, until: float) -> None:
        """Let time pass, a second at a time."""
        while self.made.now < until:
            self.made.now += 1
            now = self.made.now
            bound = self.spoke.tunnels[TUNNEL].cache.get(OTHER) is not None
            if self.used and bound and now % 5 == 0:
                self.made.carry_out(SPOKE_NBMA, self.spoke.probed(TUNNEL, OTHER, now))
            self.made.carry_out(SPOKE_NBMA, self.spoke.tick(now))

    def cut(self) -> None:
        """Nothing passes between the spokes any more."""
        self.made.cut.add(DIRECT)

    def mend(self) -> None:
        """It does again."""
        self.made.cut.clear()

    @property
    def asked(self) -> list[Packet]:
        """The questions to the other spoke itself."""
        return [packet for source, to, packet in self.made.sent if (source, to) == (SPOKE_NBMA, OTHER_NBMA)]

    @property
    def done(self) -> list[Action]:
        return self.made.done.get(SPOKE_NBMA, [])

    def ended(self) -> bool:
        return any(isinstance(action, RemoveShortcut) for action in self.done)


def test_a_peer_in_use_is_asked_for_its_own_address_now_and_then_and_an_idle_one_never() -> None:
    line = Line()
    line.run(60)
    assert [(packet.type, packet.destination_protocol) for packet in line.asked] == [(QUESTION, OTHER)] * 5
    assert "unknown-reply" not in line.spoke.counters()[TUNNEL]
    idle = Line()
    idle.used = False
    idle.run(60)
    assert idle.asked == []


def test_one_that_answers_no_more_is_given_up_and_the_hub_is_the_way() -> None:
    line = Line()
    line.run(30)
    line.cut()
    line.run(60)
    assert line.made.events(SPOKE_NBMA) == ["shortcut-removed", "resolution-ended"]
    removed = [type(a).__name__ for a in line.done if isinstance(a, RemoveShortcut | RemoveNeighbour)]
    assert removed == ["RemoveShortcut", "RemoveNeighbour"]
    (told,) = [a.facts for a in line.done if isinstance(a, Notify) and a.name == "shortcut-removed"]
    assert told["reason"] == "unreachable"
    assert len(line.asked) == 2 + alive.TRIES


def test_two_lost_packets_are_no_reason() -> None:
    line = Line()
    line.run(30)
    line.cut()
    line.run(38)
    assert len(line.asked) == 2 + 2
    line.mend()
    line.run(90)
    assert not line.ended()


def test_one_that_never_answered_proves_nothing_by_its_silence() -> None:
    line = Line()
    line.cut()
    line.run(200)
    assert len(line.asked) > 3 * alive.TRIES
    assert not line.ended()


def test_before_it_is_used_again_it_must_answer_itself() -> None:
    line = Line()
    line.run(30)
    line.cut()
    line.run(60)
    line.made.forget()
    forward(line.made)  # the server says the same of it as before; that is not enough now
    line.run(76)
    assert line.spoke.shortcuts(TUNNEL) == []
    assert line.made.events(SPOKE_NBMA) == ["resolution-sent", "no-direct-way"]
    line.run(100)
    line.mend()
    forward(line.made)
    assert line.spoke.shortcuts(TUNNEL) != []
    line.made.forget()
    line.spoke.clear(101.0)
    line.made.now += 10
    forward(line.made)  # and once it has answered nothing is in doubt
    assert line.asked == []
    assert line.spoke.shortcuts(TUNNEL) != []


def test_nobody_else_can_answer_for_it() -> None:
    line = Line()
    line.cut()
    line.run(15)
    (question,) = line.asked
    forged = encode(replace(question, type=PacketType.RESOLUTION_REPLY))
    for outer in (HUB_NBMA, IPv4Address("192.0.2.66")):
        line.spoke.receive(TUNNEL, forged, outer, 15.1)
    assert line.spoke.counters()[TUNNEL]["unknown-reply"] == 2
    line.run(100)
    assert not line.ended()  # it has never answered


def test_what_registered_here_meanwhile_stays() -> None:
    line = Line()
    line.run(30)
    line.cut()
    line.run(41)
    cache = line.spoke.tunnels[TUNNEL].cache
    binding = cache.get(OTHER)
    assert binding is not None
    cache.bind(replace(binding, resolved=False))
    line.run(60)
    assert cache.get(OTHER) is not None


@pytest.mark.parametrize("protected", [False, True])
def test_under_ipsec_nobody_asks_because_an_sa_tells(protected: bool) -> None:
    line = Line()
    tunnel = line.spoke.tunnels[TUNNEL]
    tunnel.config = replace(tunnel.config, protected=protected)
    line.run(40)
    assert bool(line.asked) is not protected


def test_the_peers_out_of_reach_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "LIMIT", 2)
    made, now = Alive(random.Random(1), RequestIds(1)), 0.0
    tunnel = Tunnel(spoke_config(), Cache(), nbma=SPOKE_NBMA)
    peers = [IPv4Address("172.16.2.1") + number for number in range(3)]
    for number, nbma in enumerate(peers):
        protocol = OTHER + number
        binding = Binding(TUNNEL, protocol, nbma, now, resolved=True)
        made.used(tunnel, binding, now)
        (sent,) = made.used(tunnel, binding, now := now + alive.PROBE_S)
        assert made.reply(replace(decode(sent.data), type=PacketType.RESOLUTION_REPLY), nbma)
        made.used(tunnel, binding, now := now + alive.PROBE_S)  # this one is not answered
        while made.deadline() is not None:
            made.tick(now := now + 1)
    assert [made.is_lost(tunnel, nbma) for nbma in peers] == [False, True, True]
