"""One tunnel with IPv4 and IPv6: each address of a spoke is a binding of its own, and all move together."""

from __future__ import annotations

import pytest

from tests.simulation.clouds import cloud
from tests.simulation.network import Conditions

BAD = Conditions(loss=0.1, duplication=0.1, delay_s=(0.01, 1.0), verdict_s=(0.0, 0.3), refusal=0.05)


def test_each_spoke_registers_its_address_of_ipv4_of_ipv6_and_its_link_local_one() -> None:
    made = cloud(1, 20, dual_stack=True)
    made.run(10)
    made.assert_settled()
    assert len(made.bound()) == 60
    assert {each.version for each in made.bound()} == {4, 6}


def test_a_new_nbma_address_moves_every_family_after_half_a_round_trip() -> None:
    made = cloud(2, 20, dual_stack=True)
    made.run(10)
    for spoke in made.spokes:
        made.readdress(spoke)
    made.run(0.021)
    assert made.bound() == made.wanted()
    made.run(0.02)
    made.assert_settled()


def test_a_spoke_that_is_gone_is_forgotten_in_every_family_and_by_multicast_with_the_last() -> None:
    made = cloud(3, 2, dual_stack=True)
    made.run(10)
    gone, left = made.spokes
    gone.crash()
    made.run(310)
    assert set(made.bound()) == set(left.protocols)
    assert made.hub.multicast == {left.nbma}


def test_a_hub_whose_agent_restarts_takes_the_bindings_of_every_family_over() -> None:
    made = cloud(4, 10, dual_stack=True)
    made.run(10)
    before = made.bound()
    made.hub.restart_agent()
    assert made.bound() == before
    made.assert_settled()


@pytest.mark.parametrize("seed", range(5))
def test_after_bad_times_hub_and_spokes_agree_in_every_family(seed: int) -> None:
    made = cloud(seed, 20, BAD, dual_stack=True)
    made.run(10)
    made.bad_times(300, 200)
    made.network.conditions = Conditions()
    made.run(700)
    made.assert_settled()
