"""The matrix of docs/routing.md: what can be written, and what the rest is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.errors import TopologyError
from tests.live import matrix
from tests.live.matrix import Combination
from tests.unit.spec.labs import plan

AS_PHASE_1 = ("as phase 1", "as phase 1; a `summary` is enough", "nothing")
"""The last column of the matrix."""
DOCS = Path(__file__).resolve().parents[3] / "docs" / "routing.md"


@pytest.mark.parametrize("combination", [pytest.param(each, id=each.name) for each in matrix.ALL])
def test_each_combination_is_planned_or_refused_with_a_way_out(combination: Combination) -> None:
    if combination.possible:
        cloud = plan(combination.topology()).cloud("dmvpn")
        assert (cloud.routing.protocol, cloud.phase) == (combination.protocol, combination.phase)
        assert (cloud.ipsec is not None) == combination.ipsec
        return
    with pytest.raises(TopologyError) as caught:
        plan(combination.topology())
    assert [each.hint for each in caught.value.problems] == ["protocol odr cannot do that: set `phase: 1`"]


def test_the_docs_have_what_each_combination_needs() -> None:
    rows = [line.split("|")[1:] for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    table = {cells[0].strip().strip("`"): cells for cells in rows if cells[3].strip() in AS_PHASE_1}
    assert table.keys() == matrix.TO_THE_HUB.keys()
    for protocol, needs in matrix.TO_THE_SPOKE.items():
        for key in ("next-hop-self: false", "network-type: broadcast"):
            assert (key in table[protocol][2]) == (key in needs)
    for protocol, needs in matrix.TO_THE_HUB.items():
        assert ("split-horizon: false" in table[protocol][1]) == ("split-horizon: false" in needs)
    assert "refused" in table["odr"][2]


def test_the_slice_is_of_combinations_that_are_possible_and_has_every_phase_above_1() -> None:
    assert set(matrix.SLICE) <= {each for each in matrix.ALL if each.possible}
    assert {each.phase for each in matrix.SLICE} >= {2, 3}
    assert {each.ipsec for each in matrix.SLICE} == {True, False}
