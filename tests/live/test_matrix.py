"""{EIGRP, OSPF, BGP, RIP, ODR} x {phase 1, 2, 3} x {with, without IPsec}, before and after an address change.

`verify` proves registration, multicast, adjacency, that hosts reach each other by the path that the
phase says (through the hub; or one hop, after the first packet), and that nothing goes in clear.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.testing import Labs
from tests.live import labs, matrix
from tests.live.matrix import Combination

pytestmark = pytest.mark.live
LIVE = [each for each in matrix.ALL if each.possible]
MARKED = [
    pytest.param(each, id=each.name, marks=[] if each in matrix.SLICE else [pytest.mark.long])
    for each in LIVE
]


@pytest.mark.parametrize("combination", MARKED)
def test_the_host_of_a_spoke_reaches_that_of_another_before_and_after_an_address_change(
    dmvpn_labs: Labs, tmp_path: Path, combination: Combination
) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(combination.topology())
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        steps = lab.address_change("spoke-a").steps
        print(combination.name, [(step.step, step.after_s) for step in steps])
        lab.verify()
    assert labs.left_behind(lab.name) == []
