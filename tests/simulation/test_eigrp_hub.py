"""The deck's options between a hub and spokes that do not hear each other, by effect, in virtual time."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from dmvpn_lab.eigrp.actions import NextHop
from dmvpn_lab.eigrp.constants import GROUP, Opcode, Stub
from dmvpn_lab.eigrp.packet import Packet, decode
from tests.simulation.eigrp_network import Network

HUB_LAN, A_LAN, B_LAN = (IPv4Network(f"192.168.{n}.0/24") for n in (1, 2, 3))
SUMMARY = IPv4Network("192.168.0.0/16")


def star(spokes: int = 2, *, seed: int = 1, hub: dict[str, Any] | None = None,
         spoke: dict[str, Any] | None = None, **options: Any) -> Network:  # fmt: skip
    """A hub and spokes on one multipoint tunnel; `options` are those of the spokes' processes."""
    network = Network(seed)
    tunnel = network.segment()
    common = {"bandwidth_kbps": 1000, "delay_us": 500_000, "mtu": 1400, "copies": True}
    network.router("hub", [(tunnel, common | {"split_horizon": False} | (hub or {}))])
    for number in range(spokes):
        network.router(f"spoke-{number}", [(tunnel, common | (spoke or {}))], **options)
    tunnel.hub = next(iter(tunnel.members))
    return network


def routes(network: Network, name: str) -> dict[str, list[str]]:
    found = network.routers[name].routes
    return {str(p): [str(hop.gateway) for hop in hops] for p, hops in sorted(found.items())}


def packets(network: Network, sender: str, opcode: int) -> list[tuple[IPv4Address, Packet]]:
    """What a router sent of one kind, with the destinations."""
    sent = [(s.destination, decode(s.data)) for _, name, s in network.sent if name == sender]
    return [(to, packet) for to, packet in sent if packet.opcode == opcode]


def settled(network: Network, seconds: float = 30.0) -> Network:
    network.keep_packets = True
    network.start()
    network.run(seconds)
    return network


def test_without_split_horizon_a_spoke_sees_the_other_through_the_hub() -> None:
    network = settled(star())
    assert routes(network, "spoke-0") == {"192.168.1.0/24": ["10.1.0.1"], "192.168.3.0/24": ["10.1.0.1"]}
    assert routes(network, "hub") == {"192.168.2.0/24": ["10.1.0.2"], "192.168.3.0/24": ["10.1.0.3"]}


def test_with_split_horizon_a_spoke_sees_the_hub_only() -> None:
    network = settled(star(hub={"split_horizon": True}))
    assert routes(network, "spoke-0") == {"192.168.1.0/24": ["10.1.0.1"]}
    assert routes(network, "hub") == {"192.168.2.0/24": ["10.1.0.2"], "192.168.3.0/24": ["10.1.0.3"]}


def test_without_next_hop_self_the_next_hop_is_the_other_spoke() -> None:
    network = settled(star(hub={"next_hop_self": False}))
    assert routes(network, "spoke-0") == {"192.168.1.0/24": ["10.1.0.1"], "192.168.3.0/24": ["10.1.0.3"]}


def test_a_summary_takes_the_place_of_what_is_in_it_and_the_hub_discards_the_rest() -> None:
    network = settled(star(hub={"summaries": (SUMMARY,)}))
    assert routes(network, "spoke-0") == {"192.168.0.0/16": ["10.1.0.1"]}
    assert network.routers["hub"].routes[SUMMARY] == ()


def test_a_summary_lets_spokes_meet_in_spite_of_split_horizon() -> None:
    network = settled(star(hub={"summaries": (SUMMARY,), "split_horizon": True}))
    assert routes(network, "spoke-1") == {"192.168.0.0/16": ["10.1.0.1"]}


def test_a_summary_ends_with_the_last_route_in_it() -> None:
    network = Network(3)
    tunnel, far = network.segment(), network.segment()
    summary = IPv4Network("192.168.3.0/25").supernet(new_prefix=23)
    network.router("hub", [(tunnel, {"summaries": (summary,)}), (far, {})], lan=False)
    network.router("spoke", [(tunnel, {})], lan=False)
    network.router("behind", [(far, {})])
    settled(network)
    assert routes(network, "spoke")["192.168.2.0/23"] == ["10.1.0.1"]
    assert "192.168.3.0/24" not in routes(network, "spoke")
    network.cut(far)
    network.run(5)
    assert routes(network, "spoke") == {}
    assert routes(network, "hub") == {}


def test_a_stub_is_asked_nothing() -> None:
    network = settled(star(3, stub=int(Stub.CONNECTED | Stub.SUMMARY)))
    network.sent.clear()
    lan = network.routers["spoke-0"].interfaces[-1].name
    router = network.routers["spoke-0"]
    network.do(router, router.speaker.interface_down(lan, network.now))
    network.run(5)
    assert packets(network, "hub", Opcode.QUERY) == []
    assert A_LAN not in network.routers["spoke-1"].routes
    assert A_LAN not in network.routers["hub"].routes


def test_spokes_that_are_no_stubs_are_asked() -> None:
    network = settled(star(3))
    network.sent.clear()
    router = network.routers["spoke-0"]
    network.do(router, router.speaker.interface_down("lan", network.now))
    network.run(5)
    assert packets(network, "hub", Opcode.QUERY) != []
    assert A_LAN not in network.routers["spoke-1"].routes


@pytest.mark.parametrize(
    ("stub", "known"),
    [(Stub.CONNECTED, True), (Stub.SUMMARY, False), (Stub.RECEIVE_ONLY, False)],
    ids=["connected", "summary", "receive-only"],
)
def test_a_stub_announces_what_it_says(stub: Stub, known: bool) -> None:
    network = settled(star(1, stub=int(stub)))
    assert (A_LAN in network.routers["hub"].routes) == known
    assert routes(network, "spoke-0") == {"192.168.1.0/24": ["10.1.0.1"]}


def test_a_stub_passes_nothing_on_that_it_learned() -> None:
    network = Network(5)
    tunnel, second = network.segment(), network.segment()
    network.router("hub", [(tunnel, {})])
    network.router("stub", [(tunnel, {}), (second, {})], stub=int(Stub.CONNECTED))
    network.router("behind", [(second, {})])
    settled(network)
    assert "192.168.3.0/24" not in routes(network, "hub")
    assert "192.168.1.0/24" not in routes(network, "behind")
    assert routes(network, "behind")["192.168.2.0/24"] == ["10.2.0.2"]


def test_a_multicast_update_is_sent_once_and_each_spoke_acknowledges_it() -> None:
    network = settled(star(4))
    network.sent.clear()
    hub = network.routers["hub"]
    network.do(hub, hub.speaker.interface_down("lan", network.now))
    network.run(3)
    queries = packets(network, "hub", Opcode.QUERY)
    assert [to for to, _ in queries] == [GROUP]
    for number in range(4):
        answers = packets(network, f"spoke-{number}", Opcode.REPLY)
        assert [packet.acknowledgment for _, packet in answers] == [queries[0][1].sequence]


def test_two_ways_of_equal_length_are_both_used() -> None:
    network = Network(2)
    left, right = network.segment(), network.segment()
    network.router("a", [(left, {}), (right, {})])
    network.router("b", [(left, {}), (right, {})])
    settled(network)
    lan = IPv4Network("192.168.2.0/24")
    assert network.routers["a"].routes[lan] == (
        NextHop("eth0", IPv4Address("10.1.0.2")), NextHop("eth1", IPv4Address("10.2.0.2")),
    )  # fmt: skip


def test_a_hub_that_restarts_gracefully_makes_no_spoke_forget_a_route() -> None:
    network = settled(star(3))
    before = {name: routes(network, name) for name in network.routers}
    for router in network.routers.values():
        router.events.clear()
    kept = dict(network.routers["hub"].routes)
    network.kill("hub")
    network.run(1)
    network.routers["hub"].routes = kept  # the kernel keeps them
    watch = {name: dict(r.routes) for name, r in network.routers.items() if name != "hub"}
    network.revive("hub", restarting=True)
    for _ in range(200):
        network.run(0.1)
        assert {name: network.routers[name].routes for name in watch} == watch
    assert {name: routes(network, name) for name in network.routers} == before
    assert [e.facts["reason"] for r in network.routers.values() for e in r.events
            if e.name == "eigrp-neighbour-down"] == []  # fmt: skip


def test_what_a_restarted_hub_does_not_say_again_goes_at_its_end_of_table() -> None:
    network = settled(star(2))
    hub = network.routers["hub"]
    network.kill("hub")
    hub.interfaces = [each for each in hub.interfaces if each.name != "lan"]
    network.revive("hub", restarting=True)
    network.run(20)
    assert routes(network, "spoke-0") == {"192.168.3.0/24": ["10.1.0.1"]}


def longest_burst_bits(network: Network, window_s: float) -> int:
    """The most bits of reliable packets of the hub in any window, a multicast counted once a spoke."""
    spokes = len(network.routers) - 1
    times = []
    for at, name, send in network.sent:
        if name == "hub" and decode(send.data).sequence:
            copies = spokes if send.destination == GROUP else 1
            times.append((at, 8 * (len(send.data) + 20) * copies))
    return max(sum(bits for at, bits in times if start <= at < start + window_s) for start, _ in times)


def convergence_s(network: Network, everything: int) -> float:
    """Seconds until every spoke has that many routes."""
    began = network.now
    spokes = [r for r in network.routers.values() if r.name != "hub"]
    while any(len(spoke.routes) < everything for spoke in spokes):
        network.run(0.5)
        assert network.now - began < 600, "it never converged"
    return network.now - began


def test_at_9_kbit_a_hub_is_slow_and_1000_cure_it() -> None:
    took = {}
    for kbps in (9, 1000):
        network = star(2, hub={"bandwidth_kbps": kbps}, spoke={"bandwidth_kbps": kbps})
        network.keep_packets = True
        network.start()
        took[kbps] = convergence_s(network, 2)
        assert longest_burst_bits(network, 60.0) <= 60 * kbps * 1000 / 2 + 2 * 8 * 1400
    print(f"converged after {took[9]:.1f} s at 9 kbit/s, {took[1000]:.1f} s at 1000")
    assert took[9] > 3 * took[1000]
    assert took[1000] < 8


@pytest.mark.parametrize(
    "spokes", [100, pytest.param(1000, marks=pytest.mark.long)], ids=["a-hundred", "a-thousand"]
)
def test_many_stub_spokes_converge_within_their_share_of_the_bandwidth(spokes: int) -> None:
    network = star(spokes, hub={"summaries": (IPv4Network("192.0.0.0/8"),), "bandwidth_kbps": 1000},
                   spoke={"bandwidth_kbps": 1000, "hold_s": 60, "hello_s": 20.0},
                   stub=int(Stub.CONNECTED))  # fmt: skip
    network.keep_packets = True
    network.start()
    first = convergence_s(network, 1)
    assert len(network.routers["hub"].routes) == spokes + 1
    share = longest_burst_bits(network, 10.0) / (10 * 1_000_000)
    network.kill("hub")
    network.run(0.5)
    network.routers["hub"].routes = {}
    network.revive("hub")
    for router in network.routers.values():
        router.routes.clear()
    again = convergence_s(network, 1)
    print(f"{spokes} spokes: {first:.1f} s after the start, {again:.1f} s after the hub's restart; "
          f"{100 * share:.0f} % of the bandwidth")  # fmt: skip
    assert share <= 0.5
