"""Two spokes behind one NAT router, each with a hub of its own: GRE to two hubs is two conversations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab

pytestmark = [pytest.mark.live, pytest.mark.long]
SHARED = """
lab: test-nat-shared
nats:
  home: {nbma: 172.16.9.1/24}
clouds:
  red: {subnet: 10.0.0.0/24, key: 1, registration-interval: 20, unique: false, routing: {protocol: bgp}}
  blue:
    subnet: 10.1.0.0/24
    key: 2
    network-id: 2
    registration-interval: 20
    unique: false
    routing: {protocol: bgp}
nodes:
  hub-red: {nbma: 172.17.1.1/24, lan: 192.168.10.1/24, clouds: {red: {role: hub, address: 10.0.0.1}}}
  hub-blue: {nbma: 172.17.2.1/24, lan: 192.168.20.1/24, clouds: {blue: {role: hub, address: 10.1.0.1}}}
  spoke-red:
    nbma: {dhcp: 10.9.1.2/24}
    behind: home
    lan: 192.168.1.1/24
    clouds: {red: {role: spoke, address: 10.0.0.11}}
  spoke-blue:
    nbma: {dhcp: 10.9.2.2/24}
    behind: home
    lan: 192.168.2.1/24
    clouds: {blue: {role: spoke, address: 10.1.0.12}}
"""


@pytest.fixture(scope="module")
def lab(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = tmp_path_factory.mktemp("shared") / "lab.yml"
    path.write_text(SHARED)
    with dmvpn_labs.running(str(path)) as made:
        yield made


def test_both_are_registered_from_the_one_address_and_reach_what_is_behind_their_hubs(lab: LiveLab) -> None:
    lab.verify()
    seen = {name: [(e["nbma"], "nat" in e["flags"]) for e in lab.show(name, "nhrp")]
            for name in ("hub-red", "hub-blue")}  # fmt: skip
    assert seen == {"hub-red": [("172.16.9.1", True)], "hub-blue": [("172.16.9.1", True)]}


def test_when_the_nat_router_gets_another_address_both_are_found_again(lab: LiveLab) -> None:
    lab.nat_rebind("home")
    for hub in ("hub-red", "hub-blue"):
        lab.wait_for_event("peer-registered", 60, node=hub, previous_nbma="172.16.9.1")
    lab.check("registration", "reachability")
