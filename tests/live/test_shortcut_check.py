"""The check `shortcut` on labs of phases 2 and 3, and that it fails where a shortcut loses packets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dmvpn_lab.testing import CheckFailed, Labs, LiveLab

pytestmark = [pytest.mark.live, pytest.mark.long]
CUT = """table inet cut {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip saddr 172.16.1.1 ip daddr 172.16.2.1 drop
  }
}
"""


@pytest.fixture(scope="module", params=["phase-2", "phase-3"])
def lab(request: pytest.FixtureRequest, dmvpn_labs: Labs) -> Iterator[LiveLab]:
    with dmvpn_labs.running(request.param) as made:
        made.verify()
        yield made


def test_it_is_seen_to_come_and_to_end_with_the_hub_as_the_way_before_and_after(lab: LiveLab) -> None:
    results = lab.check("shortcut")
    assert len(results) == 6
    assert results[4].observed.split(" > ")[1] == "10.0.0.1"


def test_a_direct_way_on_which_the_underlay_drops_packets_fails_it(lab: LiveLab) -> None:
    lab.must("isp", "sh", "-c", f"echo '{CUT}' | nft -f -")
    try:
        with pytest.raises(CheckFailed, match=r"192.168.2.2 by .* after; observed"):
            lab.check("shortcut")
    finally:
        lab.must("isp", "nft", "delete", "table", "inet", "cut")
