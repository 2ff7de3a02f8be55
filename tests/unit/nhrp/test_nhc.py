"""A registration's states: the table of transitions, and the delays."""

from __future__ import annotations

import random
import statistics

import pytest

from dmvpn_lab.nhrp.nhc import (
    JITTER,
    OUTSTANDING,
    TRANSITIONS,
    Event,
    Registration,
    State,
    retransmit_delay,
)
from tests.unit.nhrp.deck import HUB

W, REG, OK, REN, NO = (
    State.WAITING,
    State.REGISTERING,
    State.REGISTERED,
    State.RENEWING,
    State.REFUSED,
)
WANTED = {
    Event.SOURCE: {W: REG, REG: REG, OK: REG, REN: REG, NO: REG},
    Event.LOST: {W: W, REG: W, OK: W, REN: W, NO: W},
    Event.TIMER: {REG: REG, OK: REN, REN: REN, NO: REG},
    Event.SUCCESS: {REG: OK, REN: OK},
    Event.NAK: {REG: NO, REN: NO},
    Event.EXPIRED: {REN: REG},
}
PAIRS = [(state, event) for state in State for event in Event]


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_pair_of_state_and_event_leads_where_it_should_or_raises(state: State, event: Event) -> None:
    registration = Registration(HUB, state=state)
    wanted = WANTED[event].get(state)
    if wanted is None:
        with pytest.raises(KeyError):
            registration.move(event)
        assert registration.state is state
    else:
        registration.move(event)
        assert registration.state is wanted


def test_the_table_has_no_state_that_cannot_be_reached_or_left() -> None:
    reached = {new for (old, _), new in TRANSITIONS.items() if old is not new}
    left = {old for (old, _), new in TRANSITIONS.items() if old is not new}
    assert reached == left == set(State)


def test_a_reply_is_expected_only_while_a_request_is_outstanding() -> None:
    assert {state for state, event in TRANSITIONS if event is Event.SUCCESS} == OUTSTANDING
    assert {state for state, event in TRANSITIONS if event is Event.NAK} == OUTSTANDING


@pytest.mark.parametrize(
    ("tries", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 64), (8, 64), (10_000, 64)]
)
def test_the_delay_doubles_up_to_64_seconds_and_is_jittered_both_ways(tries: int, seconds: int) -> None:
    rng = random.Random(7)
    delays = [retransmit_delay(tries, rng) for _ in range(500)]
    assert min(delays) >= seconds * (1 - JITTER)
    assert max(delays) <= seconds * (1 + JITTER)
    assert min(delays) < seconds * (1 - 0.9 * JITTER)
    assert max(delays) > seconds * (1 + 0.9 * JITTER)
    assert statistics.mean(delays) == pytest.approx(seconds, rel=0.05)


def test_sending_sets_the_timer_and_counts_and_a_new_request_starts_the_delays_over() -> None:
    registration = Registration(HUB, state=State.REGISTERING)
    rng = random.Random(1)
    for _ in range(4):
        registration.sent(100.0, rng)
    assert registration.due is not None
    assert 100 + 8 * (1 - JITTER) <= registration.due <= 100 + 8 * (1 + JITTER)
    registration.begin(9)
    registration.sent(100.0, rng)
    assert registration.due <= 100 + 1 + JITTER
    assert (registration.request_id, registration.requests_sent) == (9, 5)


def test_success_sets_renewal_and_validity_and_clears_the_last_error() -> None:
    registration = Registration(HUB, state=State.REGISTERING, last_error="no")
    registration.succeeded(10.0, 300, 100.0)
    assert (registration.state, registration.due, registration.valid_until) == (
        State.REGISTERED,
        110.0,
        310.0,
    )
    assert (registration.replies_received, registration.last_error) == (1, None)


def test_refusals_in_a_row_wait_longer_and_a_success_forgets_them() -> None:
    registration = Registration(HUB)
    rng = random.Random(1)
    registration.move(Event.SOURCE)
    for refusal in range(3):
        registration.refused(0.0, "code 14", rng)
        wanted = 4 * 2**refusal
        assert registration.due == pytest.approx(wanted, rel=JITTER)
        registration.move(Event.TIMER)
    registration.succeeded(0.0, 300, 100.0)
    registration.move(Event.TIMER)
    registration.refused(0.0, "code 14", rng)
    assert registration.due == pytest.approx(4, rel=JITTER)
    assert (registration.requests_failed, registration.replies_received) == (4, 5)
    assert (registration.last_error, registration.valid_until) == ("code 14", None)


def test_a_lost_source_stops_the_timer() -> None:
    registration = Registration(HUB, state=State.RENEWING, due=5.0, valid_until=9.0)
    registration.stop()
    assert (registration.state, registration.due, registration.valid_until) == (State.WAITING, None, None)
