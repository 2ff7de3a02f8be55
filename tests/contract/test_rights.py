"""What the programs of a container may do: what is listed, whoever has started them."""

from __future__ import annotations

import re

import pytest

from dmvpn_lab.container.rights import CAPABILITIES
from dmvpn_lab.testing import LiveLab
from tests.live import backends

pytestmark = [pytest.mark.live, pytest.mark.long]

NUMBERS = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "KILL": 5, "SETGID": 6, "SETUID": 7, "NET_BIND_SERVICE": 10,
    "NET_ADMIN": 12, "NET_RAW": 13, "SYS_CHROOT": 18, "SYS_ADMIN": 21,
}  # fmt: skip
"""linux/capability.h."""
LISTED = sum(1 << NUMBERS[name] for name in CAPABILITIES)
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
