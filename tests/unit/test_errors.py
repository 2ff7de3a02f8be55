"""The exception tree and its exit codes."""

from __future__ import annotations

import pytest

from dmvpn_lab import errors
from dmvpn_lab.errors import (
    DecodeError,
    DmvpnLabError,
    HostError,
    LabError,
    PacketError,
    Problem,
    TopologyError,
    UsageError,
    first_error,
)


@pytest.mark.parametrize(
    ("error", "code"), [(LabError, 1), (UsageError, 2), (TopologyError, 2), (HostError, 3), (PacketError, 1)]
)
def test_each_kind_of_error_has_the_documented_exit_code(error: type[DmvpnLabError], code: int) -> None:
    assert error.exit_code == code
    assert issubclass(error, DmvpnLabError)


def test_all_errors_are_in_the_drawn_tree() -> None:
    kinds = [
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    assert [name for name in kinds if f" {name} " not in f"{errors.__doc__}".replace("\n", " ")] == []


def test_a_hint_goes_with_the_error_and_not_into_its_text() -> None:
    error = UsageError("no", hint="yes")
    assert (str(error), error.message, error.hint) == ("no", "no", "yes")


def test_a_decode_error_says_at_which_octet() -> None:
    error = DecodeError("too short", code=8, offset=12)
    assert (str(error), error.code, error.offset) == ("too short (at octet 12)", 8, 12)


def test_a_problem_is_a_line_that_editors_jump_to() -> None:
    assert str(Problem("x.yml", 3, 5, "a.b", "wrong")) == "x.yml:3:5: a.b: wrong"


def test_a_topology_error_holds_its_problems_in_order() -> None:
    problems = (Problem("x.yml", 1, 1, "a", "one"), Problem("x.yml", 2, 1, "b", "two", hint="do"))
    error = TopologyError(problems)
    assert error.problems == problems
    assert str(error) == "x.yml:1:1: a: one\nx.yml:2:1: b: two\n    hint: do"


def test_the_first_error_of_nested_groups_is_found() -> None:
    inner = LabError("inner")
    group = BaseExceptionGroup("outer", [BaseExceptionGroup("middle", [inner, OSError()]), ValueError()])
    assert first_error(group) is inner
