"""Two protected tunnels on one source: one SA pair with each peer, and GRE keys that tell them apart."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.live import labs
from tests.live.labs import Lab

pytestmark = pytest.mark.live

HUB, SPOKE_A = "172.17.0.1", "172.16.1.1"
RED, BLUE = "10.0.0.1", "10.1.0.1"
PINGS = 5


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("shared")
    with labs.running(labs.topology(folder, "ipsec-shared", "test-shared")) as lab:
        assert failures(lab) == []
        yield lab


def failures(lab: Lab) -> list[str]:
    return [f"{r.name} {r.node}: {r.observed}" for r in lab.verify() if not r.passed]


def pairs(lab: Lab, node: str) -> list[tuple[str, str]]:
    """(peer, inbound SPI) of a router's SAs."""
    return sorted((entry["nbma"], entry["spi_in"]) for entry in lab.query(node, "ipsec"))


def received(lab: Lab, tunnel: str) -> int:
    """Packets that came in by one of the hub's tunnels."""
    (link,) = json.loads(lab.must("hub", "ip", "-json", "-s", "link", "show", tunnel))
    return int(link["stats64"]["rx"]["packets"])


def test_both_tunnels_of_a_spoke_have_one_sa_pair(shared: Lab) -> None:
    assert [peer for peer, _ in pairs(shared, "spoke-a")] == [HUB]
    assert sorted(peer for peer, _ in pairs(shared, "hub")) == [SPOKE_A, "172.16.2.1"]
    bound = {(e["interface"], e["protocol"]): e["nbma"] for e in shared.query("hub", "nhrp")}
    assert bound == {
        ("tunnel0", "10.0.0.11"): SPOKE_A,
        ("tunnel1", "10.1.0.11"): SPOKE_A,
        ("tunnel0", "10.0.0.12"): "172.16.2.1",
    }


@pytest.mark.parametrize(("address", "tunnel", "other"), [(RED, "tunnel0", "tunnel1"),
                                                          (BLUE, "tunnel1", "tunnel0")])  # fmt: skip
def test_the_gre_key_leads_each_packet_of_the_one_sa_to_its_tunnel(
    shared: Lab, address: str, tunnel: str, other: str
) -> None:
    (sa,) = shared.query("spoke-a", "ipsec")
    before = received(shared, tunnel), received(shared, other)
    shared.must("spoke-a", "ping", "-n", "-c", str(PINGS * 20), "-i", "0.01", "-W", "5", address)
    (same,) = shared.query("spoke-a", "ipsec")
    assert same["spi_out"] == sa["spi_out"]
    assert same["packets_out"] - sa["packets_out"] >= PINGS * 20
    assert received(shared, tunnel) - before[0] >= PINGS * 20
    assert received(shared, other) - before[1] < PINGS * 20  # hellos and the like


def test_a_new_address_gets_one_new_sa_pair_and_both_registrations(shared: Lab) -> None:
    old = pairs(shared, "spoke-a")
    steps, results = shared.change("spoke-a")
    print([(step.step, step.after_s) for step in steps])
    assert [result for result in results if not result.passed] == []
    now = shared.query("spoke-a", "status")["tunnels"]
    new = {tunnel["nbma"] for tunnel in now}
    assert len(new) == 1
    assert new != {SPOKE_A}
    assert failures(shared) == []
    assert [peer for peer, _ in pairs(shared, "spoke-a")] == [HUB]
    assert not {spi for _, spi in old} & {spi for _, spi in pairs(shared, "spoke-a")}
    bound = {e["nbma"] for e in shared.query("hub", "nhrp") if e["protocol"] in ("10.0.0.11", "10.1.0.11")}
    assert bound == new
    shared.undo()


def test_the_loss_of_the_one_sa_stops_both_tunnels_and_both_come_back(shared: Lab) -> None:
    done = shared.json("inject", "sa-delete", "spoke-a", "--how", "terminate")
    assert done["passed"], done
    assert len(pairs(shared, "spoke-a")) == 1
    for address in (RED, BLUE):
        shared.must("spoke-a", "ping", "-n", "-c", "2", "-W", "5", address)
