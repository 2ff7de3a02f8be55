"""A spoke's new address reaches the hub by event, and an old request never undoes it."""

from __future__ import annotations

import pytest

from tests.simulation.clouds import cloud
from tests.simulation.network import Conditions

SLOW = Conditions(delay_s=(0.01, 2.0), duplication=0.3)


def test_a_new_address_is_at_the_hub_after_half_a_round_trip() -> None:
    made = cloud(1, 20)
    made.run(10)
    for spoke in made.spokes:
        made.readdress(spoke)
    made.run(0.021)
    assert made.bound() == made.wanted()
    made.run(0.02)
    made.assert_settled()


def test_swapped_addresses_are_right_at_the_hub_after_a_round_trip() -> None:
    made = cloud(2, 20)
    made.run(10)
    for one, other in zip(made.spokes[::2], made.spokes[1::2], strict=True):
        made.swap(one, other)
    made.run(0.05)
    made.assert_settled()


@pytest.mark.parametrize("seed", range(10))
def test_requests_that_overtake_each_other_leave_the_newest_address(seed: int) -> None:
    """Long before the next renewal could repair it."""
    made = cloud(seed, 50, SLOW)
    made.run(10)
    for _ in range(4):
        for spoke in made.spokes:
            made.network.later(made.network.rng.uniform(0, 1.0), lambda s=spoke: made.readdress(s))  # type: ignore[misc]
        made.run(1.0)
    made.run(12)
    made.assert_settled()


def test_a_spoke_without_address_stays_bound_until_its_holding_time() -> None:
    made = cloud(3, 2)
    made.run(10)
    made.spokes[0].address(None)
    made.run(200)
    assert made.spokes[0].protocol in made.bound()
    made.run(100)
    assert set(made.bound()) == {made.spokes[1].protocol}


def test_a_spoke_that_returns_to_its_old_address_is_bound_there() -> None:
    made = cloud(4, 1)
    made.run(10)
    (spoke,) = made.spokes
    old = spoke.nbma
    made.readdress(spoke)
    made.run(0.5)
    spoke.address(old)
    made.run(0.1)
    made.assert_settled()
    assert made.bound() == {spoke.protocol: old}
