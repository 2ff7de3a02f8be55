"""The arithmetic of many labs at once: the last one counts, and a check that failed leaves no time."""

from __future__ import annotations

from tests.bench.figures import Figure
from tests.bench.many import Started, available_mb, figures_of

MEMORY = [
    Figure("one", "memory of a router, Pss", 4.0, "MB"),
    Figure("two", "memory of a router, Pss", 6.0, "MB"),
]


def values(*started: Started) -> dict[str, float | None]:
    return {each.name: each.value for each in figures_of(started, MEMORY, 90.0)}


def test_all_are_there_when_the_last_one_is_and_memory_is_their_mean() -> None:
    found = values(Started(3.0, 9.0, ()), Started(5.0, 8.0, ()))
    assert found == {
        "first up": 3.0,
        "all up": 5.0,
        "all verified": 9.0,
        "memory of a router, Pss": 5.0,
        "memory of the machine, all labs": 90.0,
    }


def test_a_check_that_failed_leaves_no_time_and_is_named() -> None:
    figures = figures_of([Started(3.0, 9.0, ()), Started(5.0, 8.0, ("two: registration hub",))], MEMORY, 90.0)
    (verified,) = [each for each in figures if each.name == "all verified"]
    assert (verified.value, verified.note) == (None, "two: registration hub")


def test_the_kernel_tells_what_memory_is_left() -> None:
    assert available_mb() > 10
