"""Every bundled topology over each backend: every check that is made for it passes."""

from __future__ import annotations

import pytest

from dmvpn_lab import checks
from dmvpn_lab.testing import Labs
from tests.live import backends
from tests.live.labs import TOPOLOGIES, left_behind

pytestmark = [pytest.mark.live, pytest.mark.long]

BUNDLED = sorted(path.stem for path in TOPOLOGIES.glob("*.yml"))


@pytest.mark.parametrize("topology", BUNDLED)
@pytest.mark.parametrize("backend", backends.HERE)
def test_a_bundled_topology_is_verified(dmvpn_labs: Labs, backend: str, topology: str) -> None:
    with dmvpn_labs.running(topology, backend) as lab:
        made = {result.name for result in lab.verify()}
        assert made >= {"registration", "multicast"}
        if topology == "ipsec-phase-3":
            assert made == {check.name for check in checks.ALL}
    assert left_behind(topology) == []
