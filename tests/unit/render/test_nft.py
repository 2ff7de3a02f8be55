"""The packet filter's text."""

from __future__ import annotations

from dataclasses import replace

from dmvpn_lab.render.nft import nft
from tests.unit.spec.labs import TWO_CLOUDS, bundled, plan

DECK_HUB = """\
table inet dmvpn {
  chain underlay {
    type filter hook output priority filter; policy accept;
    ip protocol gre ip daddr 224.0.0.0/4 counter drop
  }
  chain mss {
    type filter hook forward priority mangle; policy accept;
    iifname "tunnel0" tcp flags syn tcp option maxseg size set 1360
    oifname "tunnel0" tcp flags syn tcp option maxseg size set 1360
  }
}
"""


def test_a_router_drops_multicast_gre_and_clamps_both_directions() -> None:
    deck = bundled("hub-and-spoke")
    assert nft(deck, deck.node("hub")) == DECK_HUB


def test_each_tunnel_is_clamped_to_its_own_clouds_mtu() -> None:
    one = plan(TWO_CLOUDS)
    clamps = [line.split() for line in nft(one, one.node("spoke")).splitlines() if "maxseg" in line]
    assert [(words[1], words[-1]) for words in clamps] == [
        ('"tunnel0"', "1360"), ('"tunnel0"', "1360"), ('"tunnel1"', "1260"), ('"tunnel1"', "1260"),
    ]  # fmt: skip


def test_other_nodes_filter_nothing() -> None:
    deck = bundled("hub-and-spoke")
    assert nft(deck, deck.node("isp")) == nft(deck, deck.node("host-0")) == ""


JOINED = """
lab: joined
clouds:
  red: {subnet: 10.0.0.0/24, key: 1, network-id: 1, phase: 3, routing: {protocol: bgp}}
  blue: {subnet: 10.0.1.0/24, key: 2, network-id: 1, phase: 3, routing: {protocol: bgp}}
nodes:
  hub: {nbma: 172.17.1.1/24, clouds: {red: {role: hub}, blue: {role: hub}}}
  spoke-a: {nbma: 172.16.1.1/24, lan: 192.168.1.1/24, clouds: {red: {role: spoke}}}
  spoke-b: {nbma: 172.16.2.1/24, lan: 192.168.2.1/24, clouds: {blue: {role: spoke}}}
"""


def test_a_hub_tells_of_what_leaves_by_a_tunnel_whose_spokes_the_sender_can_reach() -> None:
    one = plan(JOINED)
    hub = one.node("hub")
    equal = replace(one, clouds=tuple(replace(cloud, key=1) for cloud in one.clouds))
    assert _ways(nft(one, hub)) == [("tunnel0", "tunnel0"), ("tunnel1", "tunnel1")]
    assert _ways(nft(equal, hub)) == [(a, b) for a in ("tunnel0", "tunnel1") for b in ("tunnel0", "tunnel1")]
    apart = replace(equal, clouds=tuple(replace(c, network_id=n) for n, c in enumerate(equal.clouds)))
    assert _ways(nft(apart, hub)) == [("tunnel0", "tunnel0"), ("tunnel1", "tunnel1")]


def _ways(text: str) -> list[tuple[str, str]]:
    lines = (line.split() for line in text.splitlines() if "log group" in line)
    return [(words[1].strip('"'), words[3].strip('"')) for words in lines]
