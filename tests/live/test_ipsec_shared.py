"""Two protected tunnels on one source: one SA pair with each peer, and GRE keys that tell them apart."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live

HUB, SPOKE_A = "172.17.0.1", "172.16.1.1"
RED, BLUE = "10.0.0.1", "10.1.0.1"
PINGS = 5


@pytest.fixture(scope="module")
def shared(dmvpn_labs: Labs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveLab]:
    path = labs.topology(tmp_path_factory.mktemp("shared"), "ipsec-shared", "test-shared")
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        yield lab
    assert labs.left_behind(lab.name) == []


def pairs(lab: LiveLab, node: str) -> list[tuple[str, str]]:
    """(peer, inbound SPI) of a router's SAs."""
    return sorted((entry["nbma"], entry["spi_in"]) for entry in lab.show(node, "ipsec"))


def received(lab: LiveLab, tunnel: str) -> int:
    """Packets that came in by one of the hub's tunnels."""
    (link,) = json.loads(lab.must("hub", "ip", "-json", "-s", "link", "show", tunnel))
    return int(link["stats64"]["rx"]["packets"])


def test_both_tunnels_of_a_spoke_have_one_sa_pair(shared: LiveLab) -> None:
    assert [peer for peer, _ in pairs(shared, "spoke-a")] == [HUB]
    assert sorted(peer for peer, _ in pairs(shared, "hub")) == [SPOKE_A, "172.16.2.1"]
    bound = {(e["interface"], e["protocol"]): e["nbma"] for e in shared.show("hub", "nhrp")}
    assert bound == {
        ("tunnel0", "10.0.0.11"): SPOKE_A,
        ("tunnel1", "10.1.0.11"): SPOKE_A,
        ("tunnel0", "10.0.0.12"): "172.16.2.1",
    }


@pytest.mark.parametrize(("address", "tunnel", "other"), [(RED, "tunnel0", "tunnel1"),
                                                          (BLUE, "tunnel1", "tunnel0")])  # fmt: skip
def test_the_gre_key_leads_each_packet_of_the_one_sa_to_its_tunnel(
    shared: LiveLab, address: str, tunnel: str, other: str
) -> None:
    (sa,) = shared.show("spoke-a", "ipsec")
    before = received(shared, tunnel), received(shared, other)
    shared.must("spoke-a", "ping", "-n", "-c", str(PINGS * 20), "-i", "0.01", "-W", "5", address)
    (same,) = shared.show("spoke-a", "ipsec")
    assert same["spi_out"] == sa["spi_out"]
    assert same["packets_out"] - sa["packets_out"] >= PINGS * 20
    assert received(shared, tunnel) - before[0] >= PINGS * 20
    assert received(shared, other) - before[1] < PINGS * 20  # hellos and the like


def test_a_new_address_gets_one_new_sa_pair_and_both_registrations(shared: LiveLab) -> None:
    old = pairs(shared, "spoke-a")
    print([(step.step, step.after_s) for step in shared.address_change("spoke-a").steps])
    now = shared.show("spoke-a", "status")["tunnels"]
    new = {tunnel["nbma"] for tunnel in now}
    assert len(new) == 1
    assert new != {SPOKE_A}
    shared.verify()
    assert [peer for peer, _ in pairs(shared, "spoke-a")] == [HUB]
    assert not {spi for _, spi in old} & {spi for _, spi in pairs(shared, "spoke-a")}
    bound = {e["nbma"] for e in shared.show("hub", "nhrp") if e["protocol"] in ("10.0.0.11", "10.1.0.11")}
    assert bound == new


def test_the_loss_of_the_one_sa_stops_both_tunnels_and_both_come_back(shared: LiveLab) -> None:
    print(shared.outage("sa-delete", "spoke-a", "terminate"))
    assert len(pairs(shared, "spoke-a")) == 1
    for address in (RED, BLUE):
        shared.must("spoke-a", "ping", "-n", "-c", "2", "-W", "5", address)
