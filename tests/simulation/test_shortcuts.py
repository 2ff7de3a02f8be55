"""Shortcuts among many spokes: a LAN that goes is forgotten by all who were told of it, and by no other."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from dmvpn_lab.address import IpNetwork
from dmvpn_lab.nhrp.route import Route
from tests.simulation.clouds import HOLDING_TIME_S, HUB, Cloud, cloud
from tests.simulation.network import Conditions, Router

SPOKES = 40
PEERS = 5
"""Of each spoke: those to whose LANs it sends."""
EACH_S = 9.0
"""A hub tells of a destination once in 8 s."""
CALM = Conditions(delay_s=(0.01, 0.02))
WAY_S = 2 * 0.02
"""From a spoke through the hub to another one, at the most."""
BAD = Conditions(loss=0.05, duplication=0.1, delay_s=(0.005, 1.0))
RETRIES_S = 30.0
"""A purge has been sent four times, or a question has found its answer, by then."""
LANS: list[IpNetwork] = [IPv4Network(f"192.168.{number}.0/24") for number in range(SPOKES)]


class Traffic:
    """Hosts behind spokes that send to hosts behind others, all the time."""

    def __init__(self, made: Cloud) -> None:
        self.made = made
        self.lans = dict(zip([spoke.name for spoke in made.spokes], LANS, strict=True))
        made.hub.routes = [Route(self.lans[spoke.name], "tunnel0", spoke.protocol) for spoke in made.spokes]
        for spoke in made.spokes:
            self.plug(spoke)
        for at, spoke in enumerate(made.spokes):
            for step in range(1, PEERS + 1):
                self.flow(spoke, made.spokes[(at + 7 * step) % SPOKES])

    def plug(self, spoke: Router) -> None:
        """Its LAN is there; all others are behind the hub, as the summary says."""
        spoke.routes = [Route(self.lans[spoke.name], "eth2", None),
                        Route(IPv4Network("192.168.0.0/16"), "tunnel0", HUB)]  # fmt: skip

    def unplug(self, spoke: Router) -> None:
        """Its LAN is gone. What comes for it goes back to the hub: nobody else knows."""
        del spoke.routes[0]
        spoke.carry_out(spoke.agent.routes_changed())

    def flow(self, one: Router, other: Router) -> None:
        """A packet now and then. Without a shortcut it goes through the hub, which sees it."""
        source, destination = self.lans[one.name], self.lans[other.name]
        network, hub = self.made.network, self.made.hub
        via = one.shortcuts.get(destination)
        if via is not None:  # the kernel says that the neighbour is used
            one.carry_out(one.agent.probed("tunnel0", via, network.now))
        else:
            header = bytes.fromhex("4500003c000040004001") + b"\0\0"
            data = header + source[2].packed + destination[2].packed + bytes(8)
            hub.carry_out(hub.agent.forwarded("tunnel0", "tunnel0", one.nbma, data, network.now))
        network.later(EACH_S, lambda: self.flow(one, other))

    def shortcuts(self) -> dict[str, set[IpNetwork]]:
        """Spoke -> where its shortcuts lead."""
        return {spoke.name: set(spoke.shortcuts) & set(LANS) for spoke in self.made.spokes}

    def wanted(self, gone: set[IpNetwork]) -> dict[str, set[IpNetwork]]:
        """Who sends has a shortcut to where it sends, as long as the LAN is there."""
        names = [spoke.name for spoke in self.made.spokes]
        return {name: {LANS[(at + 7 * step) % SPOKES] for step in range(1, PEERS + 1)} - gone
                for at, name in enumerate(names)}  # fmt: skip


def started(seed: int, conditions: Conditions, until_s: float) -> Traffic:
    made = cloud(seed, SPOKES, conditions, phase_3=True)
    made.run(10)
    traffic = Traffic(made)
    made.run(until_s)
    assert traffic.shortcuts() == traffic.wanted(set())
    return traffic


def test_those_who_were_told_of_a_lan_forget_it_within_one_way_through_the_hub() -> None:
    traffic = started(1, CALM, 1.0)
    leaving = traffic.made.spokes[:10]
    for spoke in leaving:
        traffic.unplug(spoke)
    traffic.made.run(WAY_S)
    gone: set[IpNetwork] = {traffic.lans[spoke.name] for spoke in leaving}
    assert traffic.shortcuts() == traffic.wanted(gone)
    assert {spoke.heard["purge-sent"] for spoke in leaving} == {PEERS}
    traffic.made.run(EACH_S + RETRIES_S)  # they ask again, and are told that there is no such LAN
    assert traffic.shortcuts() == traffic.wanted(gone)
    for spoke in leaving:
        traffic.plug(spoke)
    traffic.made.run(EACH_S + RETRIES_S)
    assert traffic.shortcuts() == traffic.wanted(set())
    assert traffic.made.hub.heard["purge-sent"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_in_a_bad_network_lans_come_and_go_and_in_the_end_shortcuts_lead_to_those_that_are_there(
    seed: int,
) -> None:
    traffic = started(seed, BAD, 100.0)
    rng, made = traffic.made.network.rng, traffic.made
    out: set[str] = set()
    for _ in range(60):
        spoke = rng.choice(made.spokes)
        if spoke.name in out:
            traffic.plug(spoke)
            out.remove(spoke.name)
        else:
            traffic.unplug(spoke)
            out.add(spoke.name)
        made.run(rng.uniform(0, 4))
    made.run(RETRIES_S)
    gone: set[IpNetwork] = {traffic.lans[name] for name in out}
    assert gone
    for name, lans in traffic.shortcuts().items():
        assert not lans & gone, name
    made.run(HOLDING_TIME_S / 3)
    seen, wanted = traffic.shortcuts(), traffic.wanted(gone)
    senders = seen.keys() - out  # behind the others is nobody who sends
    assert len(senders) > SPOKES / 4
    assert {name: seen[name] for name in senders} == {name: wanted[name] for name in senders}
