"""Wide metrics between routers that read them, and classic ones with those that do not."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from dmvpn_lab.eigrp.packet import decode
from dmvpn_lab.eigrp.wide import NO_WIDE_ROUTE, Wide, decode_wide, encode_wide, narrowed, of_link, widened
from tests.simulation.eigrp_network import Network

GIGABIT, TEN_GIGABIT = of_link(1_000_000, 10, 1500), of_link(10_000_000, 10, 1500)


def test_a_link_of_10_gbit_is_nearer_than_one_of_1() -> None:
    assert TEN_GIGABIT.distance < GIGABIT.distance
    # 65536 x 10^7 / 10^6 kbit/s, and 65536 x 10 microseconds.
    assert GIGABIT.distance == 655_360 + 655_360


def test_octets_are_read_as_they_were_written() -> None:
    for metric in (GIGABIT, NO_WIDE_ROUTE, Wide(1, 2, 3, 4, 5, 6, 7, 8)):
        assert decode_wide(encode_wide(metric)) == (metric, 0)


@pytest.mark.parametrize(
    ("kbps", "delay_us"), [(9, 500_000), (1000, 500_000), (100_000, 100), (1_000_000, 10)]
)
def test_a_metric_that_the_classic_one_can_say_survives_both_ways(kbps: int, delay_us: int) -> None:
    metric = of_link(kbps, delay_us, 1400)
    assert widened(narrowed(metric)).delay_ps == metric.delay_ps
    assert narrowed(widened(narrowed(metric))) == narrowed(metric)


def test_what_cannot_be_reached_cannot_in_both() -> None:
    assert not narrowed(NO_WIDE_ROUTE).reachable
    assert not widened(narrowed(NO_WIDE_ROUTE)).reachable
    assert not NO_WIDE_ROUTE.through(GIGABIT).reachable


def mixed_network() -> Network:
    """Two routers that read wide metrics and one that does not, on one network."""
    network = Network(5)
    segment, cable, fast = network.segment(), network.segment(), network.segment()
    wide = {"wide": True, "bandwidth_kbps": 100_000_000, "delay_us": 10}
    network.router("one", [(segment, wide), (cable, wide), (fast, wide)], wide_lan=True)
    network.router("two", [(segment, wide), (cable, wide | {"bandwidth_kbps": 40_000_000})], wide_lan=True)
    network.router("old", [(segment, {"bandwidth_kbps": 100_000_000, "delay_us": 10})])
    return network


@pytest.fixture
def mixed() -> Network:
    network = mixed_network()
    network.keep_packets = True
    network.start()
    network.run(40)
    return network


def kinds(network: Network, router: str, segment: int) -> set[tuple[type, ...]]:
    """The formats of routes in each of a router's packets."""
    return {
        tuple(sorted({type(r.metric) for r in packet.routes}, key=lambda kind: kind.__name__))
        for _, name, send in network.sent
        if name == router and send.interface == f"eth{segment}" and (packet := decode(send.data)).routes
    }


def test_all_learn_all_and_each_speaks_what_the_other_reads(mixed: Network) -> None:
    for name, router in mixed.routers.items():
        lans = {str(prefix) for prefix in router.routes if prefix.prefixlen == 24}
        number = list(mixed.routers).index(name) + 1
        assert lans == {f"192.168.{n}.0/24" for n in (1, 2, 3) if n != number}
    assert all(kind == (Wide,) for kind in kinds(mixed, "one", 1))
    assert all(Wide not in kind for kind in kinds(mixed, "old", 0))


def test_the_way_of_100_gbit_is_taken_where_the_classic_metric_sees_two_equal_ones(mixed: Network) -> None:
    fast = IPv4Network("10.3.0.0/16")
    assert [hop.interface for hop in mixed.routers["two"].routes[fast]] == ["eth0"]
    paths = mixed.routers["two"].speaker.topology.entries[fast].paths
    by_eth1 = [path for (name, _), path in paths.items() if name == "eth1"]
    by_eth0 = [path for (name, _), path in paths.items() if name == "eth0"]
    assert by_eth0[0].distance < by_eth1[0].distance
    assert narrowed(by_eth0[0].total).distance == narrowed(by_eth1[0].total).distance


def test_a_loss_is_heard_in_both_formats(mixed: Network) -> None:
    lan = IPv4Network("192.168.1.0/24")
    one = mixed.routers["one"]
    mixed.do(one, one.speaker.interface_down("lan", mixed.now))
    mixed.run(10)
    assert [name for name, router in mixed.routers.items() if lan in router.routes] == []
