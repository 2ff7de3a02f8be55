"""What comes in from outside of EIGRP, and what a stub says of it and of what it learned."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from dmvpn_lab.eigrp.announce import OWN_SUMMARY
from dmvpn_lab.eigrp.constants import External, Stub
from tests.simulation.eigrp_network import Network

OUTSIDE = IPv4Network("192.168.77.0/24")
DEFAULT = IPv4Network("0.0.0.0/0")


def pair(lan: dict[str, Any], **spoke: Any) -> Network:
    """A hub, and a spoke with a LAN of which `lan` says more; settled."""
    network = Network(7)
    tunnel, wire = network.segment(), network.segment()
    network.router("hub", [(tunnel, {"split_horizon": False})])
    network.router("spoke", [(tunnel, {}), (wire, {"passive": True, **lan})], lan=False, **spoke)
    network.start()
    network.run(30)
    return network


def known(network: Network) -> dict[str, int | None]:
    """Destination -> origin protocol (None: internal) of what the hub learned."""
    found = {}
    for prefix in network.routers["hub"].routes:
        exterior = network.routers["hub"].speaker.topology.entries[prefix].exterior
        found[str(prefix)] = None if exterior is None else exterior.protocol
    return found


def test_connected_and_static_routes_come_in_as_external_ones() -> None:
    assert known(pair({"external": True, "statics": (OUTSIDE,)})) == {
        "10.2.0.0/16": External.CONNECTED,
        "192.168.77.0/24": External.STATIC,
    }
    assert known(pair({})) == {"10.2.0.0/16": None}


def test_a_static_route_goes_with_its_interface() -> None:
    network = pair({"statics": (OUTSIDE,)})
    network.cut(network.segments[1])
    network.run(5)
    assert known(network) == {}


@pytest.mark.parametrize(
    ("stub", "said"),
    [
        (Stub.CONNECTED, {"10.2.0.0/16"}),
        (Stub.STATIC, {"192.168.77.0/24"}),
        (Stub.CONNECTED | Stub.STATIC, {"10.2.0.0/16", "192.168.77.0/24"}),
        (Stub.REDISTRIBUTED, {"10.2.0.0/16", "192.168.77.0/24"}),
        (Stub.SUMMARY, set()),
        (Stub.RECEIVE_ONLY, set()),
    ],
)
def test_the_words_of_a_stub_say_what_it_redistributes(stub: Stub, said: set[str]) -> None:
    network = pair({"external": True, "statics": (OUTSIDE,)}, stub=int(stub))
    assert known(network).keys() == said


def test_redistributed_alone_says_nothing_that_is_part_of_eigrp() -> None:
    assert known(pair({"statics": (OUTSIDE,)}, stub=int(Stub.REDISTRIBUTED))).keys() == {"192.168.77.0/24"}


def dual_homed(**spoke: Any) -> Network:
    """Two hubs, each on a tunnel of its own, and a stub on both."""
    network = Network(8)
    red, blue = network.segment(), network.segment()
    network.router("red", [(red, {})])
    network.router("blue", [(blue, {})])
    network.router("spoke", [(red, {}), (blue, {})], **spoke)
    network.start()
    network.run(30)
    return network


def test_a_stub_passes_nothing_from_one_hub_to_the_other_but_what_leaks() -> None:
    assert "192.168.1.0/24" not in map(str, dual_homed(stub=int(Stub.CONNECTED)).routers["blue"].routes)
    leaking = dual_homed(stub=int(Stub.CONNECTED | Stub.LEAK), leaks=(IPv4Network("192.168.1.0/24"),))
    assert "192.168.1.0/24" in map(str, leaking.routers["blue"].routes)
    assert "192.168.2.0/24" not in map(str, leaking.routers["red"].routes)


def test_a_default_route_to_the_spokes_is_all_they_hear_and_the_hub_discards_the_rest() -> None:
    network = Network(9)
    tunnel = network.segment()
    network.router("hub", [(tunnel, {"summaries": (DEFAULT,)})])
    network.router("spoke", [(tunnel, {})], stub=int(Stub.CONNECTED))
    network.start()
    network.run(30)
    assert list(network.routers["spoke"].routes) == [DEFAULT]
    hub = network.routers["hub"]
    assert hub.routes[DEFAULT] == ()
    assert hub.speaker.topology.entries[DEFAULT].successors == (OWN_SUMMARY,)
