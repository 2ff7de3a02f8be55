"""Sessions end, and who fails often waits."""

from __future__ import annotations

from dmvpn_lab.classroom.sessions import FORGOTTEN_S, FREE, LIFETIME_S, LONGEST_S, Failures, Sessions


def test_a_session_is_its_tokens_until_it_ends() -> None:
    sessions = Sessions()
    token = sessions.begin("anna", 0.0)
    found = sessions.find(token, 1.0)
    assert found is not None
    assert found.name == "anna"
    assert sessions.find(token + "x", 1.0) is None
    assert sessions.find("", 1.0) is None
    assert sessions.find(token, LIFETIME_S) is None
    sessions.end(token)
    assert sessions.find(token, 1.0) is None


def test_no_token_is_kept() -> None:
    sessions = Sessions()
    token = sessions.begin("anna", 0.0)
    assert token not in repr(sessions.__dict__)


def test_each_failure_after_the_free_ones_waits_longer() -> None:
    failures = Failures()
    waits = []
    for _ in range(FREE + 10):
        failures.failed("here anna", 0.0)
        waits.append(failures.wait_s("here anna", 0.0))
    assert waits[: FREE - 1] == [0.0] * (FREE - 1)
    assert waits[FREE - 1 : FREE + 2] == [2.0, 4.0, 8.0]
    assert waits[-1] == LONGEST_S
    assert failures.wait_s("here bob", 0.0) == 0.0
    assert failures.wait_s("here anna", LONGEST_S - 1.0) == 1.0
    assert failures.wait_s("here anna", FORGOTTEN_S) == 0.0


def test_the_right_password_clears_the_count() -> None:
    failures = Failures()
    for _ in range(FREE):
        failures.failed("here anna", 0.0)
    failures.succeeded("here anna")
    assert failures.wait_s("here anna", 0.0) == 0.0
