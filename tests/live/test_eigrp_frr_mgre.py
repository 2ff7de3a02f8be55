"""FRR's eigrpd and our agent over multipoint GRE: each as the hub of the other.

What eigrpd has no agent for is made by hand: the tunnel, the neighbour (a static NHRP map, so to
speak) and the group's neighbour, by which multicast goes to the other end. One spoke only: FRR 10.3's
hub crashes with two.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agents import HUB_NBMA, Router, World, world
from tests.live.frr import Frr, eventually
from tests.live.namespaces import Netns
from tests.live.test_eigrp_frr import interface, lan, routes

pytestmark = pytest.mark.live
SPOKE_NBMA = "172.16.1.1"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as lab:
        yield lab


def by_hand(netns: Netns, address: str, peer: str, nbma: str) -> None:
    """A multipoint tunnel with one peer."""
    netns.ip("link add tunnel0 type gre local any key 1 ttl 64")
    netns.ip("link set tunnel0 mtu 1400 multicast on up")
    netns.ip(f"addr add {address}/24 dev tunnel0")
    for neighbour in (peer, "224.0.0.10"):
        netns.ip(f"neigh replace {neighbour} lladdr {nbma} dev tunnel0 nud permanent")


def eigrpd(number: str, network: str) -> str:
    return (
        f"hostname peer\nrouter eigrp 1\n eigrp router-id {number}\n network 10.0.0.0/24\n"
        f" network {network}\n!\n"
    )


def speaking(router: Router, address: str, network: str) -> None:
    """EIGRP on the tunnel, and on a LAN."""
    tunnel = interface("tunnel0", f"{address}/24", mtu=1400, bandwidth_kbps=1000, split_horizon=False,
                       copies=True)  # fmt: skip
    interfaces = [tunnel, interface("lan1", network, passive=True)]
    lan(router.netns, "lan1", network)
    router.config["eigrp"] = {"asn": 1, "router_id": address, "stub": None, "interfaces": interfaces}


def test_our_hub_and_a_spoke_of_frr_learn_from_each_other(made: World, tmp_path: Path) -> None:
    peer = [{"protocol": "10.0.0.11", "nbma": SPOKE_NBMA}]
    hub = made.hub(map=peer, map_multicast=[SPOKE_NBMA])
    speaking(hub, "10.0.0.1", "192.168.60.1/24")
    spoke = made.add("spoke", f"{SPOKE_NBMA}/24")
    lan(spoke.netns, "lan0", "192.168.50.1/24")
    by_hand(spoke.netns, "10.0.0.11", "10.0.0.1", HUB_NBMA)
    frr = Frr(spoke.netns, tmp_path, eigrpd("10.0.0.11", "192.168.50.0/24"))
    try:
        control = hub.start()
        eventually(lambda: "via 10.0.0.11 dev tunnel0 proto 88" in routes(hub.netns, "192.168.50.0/24"))
        eventually(lambda: "via 10.0.0.1 dev tunnel0 proto eigrp" in routes(spoke.netns, "192.168.60.0/24"))
        spoke.ping("192.168.60.1", "-I", "192.168.50.1")
        assert control.query("eigrp-traffic")["counters"].get("malformed", 0) == 0
    finally:
        frr.close()


@pytest.mark.long
def test_our_spoke_and_a_hub_of_frr_learn_from_each_other(made: World, tmp_path: Path) -> None:
    hub = made.add("hub", f"{HUB_NBMA}/24")
    lan(hub.netns, "lan0", "192.168.50.1/24")
    by_hand(hub.netns, "10.0.0.1", "10.0.0.11", SPOKE_NBMA)
    spoke = made.spoke(1)
    speaking(spoke, "10.0.0.11", "192.168.60.1/24")
    frr = Frr(hub.netns, tmp_path, eigrpd("10.0.0.1", "192.168.50.0/24"))
    try:
        control = spoke.start()
        eventually(lambda: "via 10.0.0.1 dev tunnel0 proto 88" in routes(spoke.netns, "192.168.50.0/24"))
        eventually(lambda: "via 10.0.0.11 dev tunnel0 proto eigrp" in routes(hub.netns, "192.168.60.0/24"))
        spoke.ping("192.168.50.1", "-I", "192.168.60.1")
        (neighbour,) = control.query("eigrp-neighbors")
        assert (neighbour["address"], neighbour["up"]) == ("10.0.0.1", True)
    finally:
        frr.close()
