"""Figures: goals, the table's numbers, the JSON document."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figure, document, number, remark


@pytest.mark.parametrize(
    ("value", "at_most", "met"),
    [(0.5, 0.5, True), (0.51, 0.5, False), (None, 0.5, False), (3.0, None, None), (0.0, 0, True)],
)
def test_a_goal_is_met_by_what_is_not_above_it(
    value: float | None, at_most: float | None, met: bool | None
) -> None:
    assert Figure("a", "b", value, "s", at_most).met is met


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.12345, "0.123"), (12.345, "12.3"), (41448.3, "41,448"), (0.0, "0")]
)
def test_a_number_has_the_digits_that_count(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_missed_goal_is_said_before_the_note() -> None:
    assert remark(Figure("a", "b", 2.0, "s", 1.0, "spoke-a")) == "MISSED; spoke-a"


def test_the_document_tells_of_each_figure_whether_its_goal_is_met() -> None:
    (figure,) = document([Figure("a", "b", 2.0, "s", 1.0)], {"kernel": "k"})["figures"]
    assert figure == {"group": "a", "name": "b", "value": 2.0, "unit": "s", "at_most": 1.0, "note": "",
                      "met": False}  # fmt: skip
