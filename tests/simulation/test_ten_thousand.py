"""One hub with ten thousand spokes, in virtual time: start, new addresses for all at once, hub lost."""

from __future__ import annotations

import resource

import pytest

from tests.simulation.clouds import HUB_NBMA, REGISTERED_S, Cloud, cloud
from tests.simulation.network import Conditions

SPOKES = 10_000
CPU_S = 120.0
LOSSY = Conditions(loss=0.01, delay_s=(0.005, 0.2))
LONGEST_RETRANSMISSION_S = 64 * 1.2


@pytest.mark.long
def test_ten_thousand_spokes_start_move_at_once_and_survive_the_loss_of_their_hub() -> None:
    began = cpu_s()
    made = cloud(1, SPOKES, LOSSY)
    settle(made, "start", 30)
    before = made.bound()
    readdressed = made.network.now
    for spoke in made.spokes:  # every one within a second
        made.network.later(made.network.rng.uniform(0, 1), lambda spoke=spoke: made.readdress(spoke))  # type: ignore[misc]
    settle(made, "new addresses", 30)
    after = made.bound()
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    assert made.network.now - readdressed < 60
    made.restart(made.hub, nbma=HUB_NBMA, after_s=5)
    made.run(1)
    assert not made.hub.alive
    settle(made, "hub lost", REGISTERED_S + LONGEST_RETRANSMISSION_S + 5)
    assert made.bound() == after
    spent = cpu_s() - began
    print(f"{spent:.0f} CPU seconds, {made.network.delivered} packets")
    assert spent < CPU_S


def settle(made: Cloud, what: str, seconds: float) -> None:
    """Let time pass; then hub and spokes must agree, all of them."""
    made.run(seconds)
    made.assert_settled()
    assert len(made.bound()) == SPOKES, what


def cpu_s() -> float:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime
