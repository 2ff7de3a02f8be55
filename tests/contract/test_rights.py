"""What the programs of a container may do: what is listed, whoever has started them."""

from __future__ import annotations

import re

import pytest

from dmvpn_lab.rights import CAPABILITIES
from dmvpn_lab.testing import LiveLab
from tests.live import backends

pytestmark = [pytest.mark.live, pytest.mark.long]

LISTED = sum(1 << number for number in CAPABILITIES.values())
BOUND = re.compile(r"CapBnd:\s+([0-9a-f]+)")


@pytest.mark.parametrize("lab_backend", backends.CONTAINERS, indirect=True)
def test_no_program_of_a_container_can_have_more_rights_than_are_listed(dmvpn_lab: LiveLab) -> None:
    for node in dmvpn_lab.plan.nodes:
        said = dmvpn_lab.exec(
            node.name, "sh", "-c", "cat /proc/[0-9]*/status"
        ).stdout  # and those of this command
        found = [int(bound, 16) for bound in BOUND.findall(said)]
        assert len(found) >= 2
        assert set(found) == {LISTED}, node.name
