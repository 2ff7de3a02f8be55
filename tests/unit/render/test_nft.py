"""The packet filter's text."""

from __future__ import annotations

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
