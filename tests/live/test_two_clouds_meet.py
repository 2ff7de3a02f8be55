"""A hub in two clouds: what the spokes of one have is known in the other, by each routing protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.testing import Labs

pytestmark = [pytest.mark.live, pytest.mark.long]

LAB = """
lab: test-joined
clouds:
  red: {{subnet: 10.0.0.0/24, key: 1, {phase}routing: {{protocol: {protocol}}}}}
  blue: {{subnet: 10.1.0.0/24, key: 2, {phase}routing: {{protocol: {protocol}}}}}
nodes:
  hub:
    nbma: 172.17.0.1/24
    clouds: {{red: {{role: hub, address: 10.0.0.1}}, blue: {{role: hub, address: 10.1.0.1}}}}
  spoke-red:
    nbma: {{dhcp: 172.16.1.1/24}}
    lan: 192.168.1.1/24
    clouds: {{red: {{role: spoke, address: 10.0.0.11}}}}
  spoke-blue:
    nbma: {{dhcp: 172.16.2.1/24}}
    lan: 192.168.2.1/24
    clouds: {{blue: {{role: spoke, address: 10.1.0.12}}}}
"""


@pytest.mark.parametrize("phase", ["", "phase: 3, "], ids=["phase-1", "phase-3"])
@pytest.mark.parametrize("protocol", ["eigrp", "ospf", "bgp", "rip", "odr"])
def test_their_hosts_meet_through_the_hub(
    protocol: str, phase: str, dmvpn_labs: Labs, tmp_path: Path
) -> None:
    path = tmp_path / "lab.yml"
    path.write_text(LAB.format(protocol=protocol, phase=phase))
    with dmvpn_labs.running(str(path)) as lab:
        results = lab.check("reachability")
    assert {(each.node, each.expected) for each in results} == {
        ("host-1", "host-2 by 192.168.1.1 > 10.0.0.1 > 10.1.0.12 > 192.168.2.2"),
        ("host-2", "host-1 by 192.168.2.1 > 10.1.0.1 > 10.0.0.11 > 192.168.1.2"),
    }
