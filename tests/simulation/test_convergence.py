"""Whatever happens: in the end every live spoke is bound at its present address, and nothing else."""

from __future__ import annotations

import pytest

from tests.simulation.clouds import HOLDING_TIME_S, REGISTERED_S, cloud
from tests.simulation.network import Conditions

BAD = Conditions(loss=0.2, duplication=0.1, delay_s=(0.005, 3.0), verdict_s=(0.0, 0.05))
QUIET_S = HOLDING_TIME_S + REGISTERED_S + 100
"""After this much time without news nothing old may be left."""


def test_three_hundred_spokes_register_within_a_round_trip_with_one_request_each() -> None:
    made = cloud(1, 300)
    made.run(1.1)
    made.assert_settled()
    assert made.network.delivered == 600
    assert set(made.hub.sent.values()) == {1}


def test_before_a_registration_the_hub_sends_nothing_to_anyone() -> None:
    made = cloud(1, 0)
    made.run(10_000)
    assert not any((made.hub.sent, made.hub.multicast, made.hub.neighbours))


def test_in_calm_a_spoke_sends_one_request_each_third_of_the_holding_time() -> None:
    made = cloud(2, 50)
    made.run(1 + 10.5 * REGISTERED_S)
    made.assert_settled()
    assert {spoke.heard["registration-sent"] for spoke in made.spokes} == {11}
    assert made.hub.heard["peer-expired"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_spokes_in_a_bad_network_agree_with_the_hub_in_the_end(seed: int) -> None:
    made = cloud(seed, 100, BAD)
    made.run(30)
    made.bad_times(600, things=300)
    made.run(QUIET_S)
    assert 50 < len(made.live()) <= 100
    made.assert_settled()


def test_three_hundred_spokes_in_a_bad_network_agree_with_the_hub_in_the_end() -> None:
    made = cloud(99, 300, BAD)
    made.bad_times(500, things=600)
    made.run(QUIET_S)
    made.assert_settled()
    assert made.hub.heard["peer-registered"] > 300


@pytest.mark.parametrize("seed", range(3))
def test_unique_spokes_that_move_get_in_when_their_old_entry_has_run_out(seed: int) -> None:
    made = cloud(seed, 60, BAD, unique=True)
    made.run(30)
    made.bad_times(400, things=100)
    assert made.hub.heard["peer-refused"] > 0
    made.run(QUIET_S + 200)
    made.assert_settled()


@pytest.mark.parametrize("seed", range(3))
def test_a_kernel_that_refuses_a_third_of_the_neighbours_only_delays(seed: int) -> None:
    made = cloud(seed, 60, Conditions(loss=0.1, refusal=0.33, verdict_s=(0.0, 0.5)))
    made.bad_times(300, things=60)
    assert made.hub.heard["peer-refused"] > 10
    made.network.conditions = Conditions(loss=0.1)
    made.run(QUIET_S)
    made.assert_settled()


def test_spokes_that_die_are_forgotten_after_their_holding_time_and_not_before() -> None:
    made = cloud(5, 100)
    made.run(50)
    for spoke in made.spokes:
        spoke.crash()
    made.run(HOLDING_TIME_S - 51)
    assert len(made.bound()) == 100
    made.run(3)
    assert not any((made.bound(), made.hub.neighbours, made.hub.multicast))


def test_after_a_restart_of_the_hub_everyone_is_back_within_a_third_of_the_holding_time() -> None:
    made = cloud(6, 200)
    made.run(500)
    made.restart(made.hub)
    made.run(REGISTERED_S + 1)
    made.assert_settled()


def test_a_hub_whose_agent_is_restarted_has_everyone_at_once_and_hears_nothing_before_the_renewals() -> None:
    made = cloud(6, 200)
    made.run(10)
    before = made.network.delivered
    for _ in range(3):
        made.hub.restart_agent()
        made.assert_settled()
        made.run(20)
    assert made.network.delivered == before
    made.run(REGISTERED_S)
    made.assert_settled()


@pytest.mark.parametrize("seed", range(3))
def test_agents_that_are_restarted_in_a_bad_network_agree_in_the_end(seed: int) -> None:
    made = cloud(seed, 60, BAD)
    for n in range(60):
        made.network.later(made.network.rng.uniform(0, 400), made.spokes[n].restart_agent_if_alive)
        made.network.later(made.network.rng.uniform(0, 400), made.hub.restart_agent_if_alive)
    made.bad_times(400, things=100)
    made.run(QUIET_S)
    made.assert_settled()


def test_after_a_long_cut_everyone_is_back_within_the_longest_retransmission() -> None:
    made = cloud(7, 200)
    made.run(10)
    made.network.cut.add("hub")
    made.run(2000)
    assert made.bound() == {}
    made.network.cut.clear()
    made.run(64 * 1.2 + 1)
    made.assert_settled()


def test_after_a_long_cut_spokes_do_not_all_come_at_once() -> None:
    made = cloud(8, 200)
    made.run(10)
    made.network.cut.add("hub")
    made.run(2000)
    made.network.cut.clear()
    loads = []
    for _ in range(70):
        before = made.hub.heard["peer-registered"]
        made.run(1)
        loads.append(made.hub.heard["peer-registered"] - before)
    assert max(loads) < 20


def test_the_same_seed_makes_the_same_run() -> None:
    def run(seed: int) -> object:
        made = cloud(seed, 40, BAD)
        made.bad_times(300, things=60)
        return made.network.delivered, made.bound(), made.hub.agent.counters()

    assert run(3) == run(3)
    assert run(3) != run(4)
