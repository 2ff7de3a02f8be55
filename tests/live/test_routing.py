"""FRR's protocols over mGRE: the deck's lab verified, a lease changed, verified again."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live

NOT_REFLECTED = (
    "routing: {protocol: rip, split-horizon: false,",
    "routing: {protocol: rip, split-horizon: true,",
)
EXTERNAL = ("asn: 65000,", "asn: 65000, spoke-asn: 65001,")
BROADCAST = (
    "network-type: point-to-multipoint, hello: 5, dead: 20",
    "network-type: broadcast, hello: 2, dead: 8",
)
POINT_TO_POINT = ("    unique: false\n", "    unique: false\n    spoke-gre: point-to-point\n")


def gateways(lab: LiveLab, node: str) -> dict[str, str]:
    """LAN -> next hop, of a router."""
    routes = lab.show(node, "routes")
    return {r["dst"]: r["gateway"] for r in routes if r["dst"].startswith("192.168.") and "gateway" in r}


@pytest.mark.parametrize(
    ("name", "changes", "next_hop"),
    [
        ("hub-and-spoke-bgp", (), "10.0.0.1"),
        ("hub-and-spoke-bgp", (EXTERNAL,), "10.0.0.1"),
        ("hub-and-spoke-rip", (), "10.0.0.1"),
        ("hub-and-spoke-ospf", (BROADCAST, POINT_TO_POINT), "10.0.0.12"),
    ],
    ids=["ibgp", "ebgp", "rip", "ospf-broadcast"],
)
def test_the_decks_lab_works_before_and_after_an_address_change(
    dmvpn_labs: Labs, tmp_path: Path, name: str, changes: tuple[tuple[str, str], ...], next_hop: str
) -> None:
    with dmvpn_labs.running(str(labs.topology(tmp_path, name, "test-routing", *changes))) as lab:
        lab.verify()
        assert gateways(lab, "spoke-a") == {"192.168.0.0/24": "10.0.0.1", "192.168.2.0/24": next_hop}
        print([(step.step, step.after_s) for step in lab.address_change("spoke-a").steps])
        lab.verify()


def test_with_split_horizon_rip_keeps_the_spokes_apart(dmvpn_labs: Labs, tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "hub-and-spoke-rip", "test-routing", NOT_REFLECTED)
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        assert gateways(lab, "hub") == {"192.168.1.0/24": "10.0.0.11", "192.168.2.0/24": "10.0.0.12"}
        assert gateways(lab, "spoke-a") == {"192.168.0.0/24": "10.0.0.1"}
