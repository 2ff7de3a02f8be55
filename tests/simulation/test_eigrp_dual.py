"""DUAL against a model: random networks, random failures, in virtual time.

After quiet the distances are Dijkstra's, and no loop existed at any step before: the network of the
simulation looks after every change of a route.
"""

from __future__ import annotations

import pytest

from dmvpn_lab.eigrp.actions import NextHop
from tests.simulation.eigrp_network import Network, random_network

ROUNDS = 5


def check(network: Network) -> None:
    network.start()
    network.run(60)
    assert network.distances() == network.expected()
    for _ in range(ROUNDS):
        network.disturb(network.rng.choice((1, 1, 2, 3, 5)))
        assert network.distances() == network.expected(), f"after {network.now:.0f} s"


@pytest.mark.parametrize("seed", range(6))
def test_after_failures_distances_are_the_shortest_and_no_loop_ever_was(seed: int) -> None:
    check(random_network(seed))


@pytest.mark.parametrize("seed", range(2))
def test_the_same_when_every_tenth_packet_is_lost(seed: int) -> None:
    check(random_network(1000 + seed, loss=0.1, hold_s=55))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(200))
def test_the_same_in_many_larger_networks(seed: int) -> None:
    check(random_network(5000 + seed, routers=7 + seed % 6, loss=0.1 * (seed % 2), hold_s=55))


def test_the_watch_over_loops_sees_one() -> None:
    network = random_network(1)
    network.start()
    network.run(60)
    lan = next(c.address.network for c in network.routers["r0"].interfaces if c.name == "lan")
    reached = next(r for r in network.routers.values() if lan in r.routes)
    hop = reached.routes[lan][0]
    other = reached.segments[hop.interface].members[hop.gateway]
    back = next(c.address.ip for c in reached.interfaces if c.name == hop.interface)
    other[0].routes[lan] = (NextHop(other[1], back),)
    with pytest.raises(AssertionError, match="loop"):
        network.assert_no_loop(lan)
