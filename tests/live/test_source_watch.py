"""A tunnel's source address: by event, and what makes a spoke register."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agents import HUB_NBMA, Router, World, spoke_tunnel, world

pytestmark = pytest.mark.live
LIMIT_S = 0.3
"""From the kernel's new address to the hub's cache. Of the median: a busy host under an emulated
machine holds up any one of them for longer than that."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def local_of(router: Router) -> str:
    """The source address of tunnel0 as `ip` tells it."""
    words = router.netns.ip("-d link show tunnel0").split()
    return words[words.index("local") + 1]


def test_a_new_address_is_in_the_hubs_cache_in_time_and_the_old_one_is_gone(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub, at_spoke = hub.start(), spoke.start()
    at_spoke.wait("registered")
    took_s: list[float] = []
    for number in range(2, 7):
        changed = spoke.move(f"172.16.1.{number - 1}/24", f"172.16.1.{number}/24")
        event = at_hub.wait("peer-registered", nbma=f"172.16.1.{number}")
        assert event["previous_nbma"] == f"172.16.1.{number - 1}"
        at_spoke.wait("registered", nbma=f"172.16.1.{number}")
        took_s.append(event["at"] - changed)
        assert hub.neighbours() == {"10.0.0.11": f"172.16.1.{number}"}
        assert [each["nbma"] for each in at_hub.query("multicast")] == [f"172.16.1.{number}"]
        assert local_of(spoke) == f"172.16.1.{number}"
        spoke.ping("10.0.0.1")
    print("address change -> hub's cache: " + ", ".join(f"{1000 * each:.0f}" for each in took_s) + " ms")
    assert statistics.median(took_s) < LIMIT_S


def test_every_trigger_of_the_deck_but_ipsec_makes_a_spoke_register(lab: World) -> None:
    lab.hub().start()
    spoke = lab.spoke(1, registration_interval_s=1)
    control = spoke.start()
    first = control.wait("registration-sent", trigger="tunnel-up", nbma="172.16.1.1")
    control.wait("registered", request_id=first["request_id"])
    renewal = control.wait("registration-sent", trigger="timer")
    assert renewal["request_id"] != first["request_id"]
    assert 0.9 < renewal["at"] - first["at"] < 3.0
    control.wait("registered", request_id=renewal["request_id"])
    spoke.move("172.16.1.1/24", "172.16.1.2/24")
    changed = control.wait("registration-sent", trigger="source-changed", nbma="172.16.1.2")
    control.wait("registered", request_id=changed["request_id"], nbma="172.16.1.2")


def test_a_request_that_is_lost_is_sent_again_under_its_own_id(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    control = spoke.start()  # the hub has no agent yet
    first = control.wait("registration-sent", trigger="tunnel-up")
    again = control.wait("registration-sent", trigger="retransmit")
    assert again["request_id"] == first["request_id"]
    assert 0.7 < again["at"] - first["at"] < 2.0  # one second, and a fifth more or less
    hub.start()
    control.wait("registered", request_id=first["request_id"])


def test_a_lost_address_takes_the_tunnel_down_and_the_next_one_registers(lab: World) -> None:
    hub, spoke = lab.hub(), lab.spoke(1)
    at_hub, control = hub.start(), spoke.start()
    control.wait("registered")
    spoke.netns.remove("eth1", "172.16.1.1/24")
    assert control.wait("nbma-changed")["new"] is None
    control.wait("tunnel-down")
    assert control.query("nhs")[0]["state"] == "waiting"
    assert control.query("status")["tunnels"][0]["up"] is False
    spoke.netns.add("eth1", "172.16.1.9/24")
    spoke.netns.route("172.16.1.254")
    control.wait("registered", nbma="172.16.1.9")
    at_hub.wait("peer-registered", nbma="172.16.1.9", previous_nbma="172.16.1.1")


def test_an_added_address_and_a_renewed_lease_change_nothing(lab: World) -> None:
    lab.hub().start()
    spoke = lab.spoke(1)
    control = spoke.start()
    control.wait("registered")
    spoke.netns.add("eth1", "172.16.1.2/24")
    spoke.netns.ip("addr change 172.16.1.1/24 dev eth1 valid_lft 900 preferred_lft 900")
    # What the agent does next, it does after it has read those events.
    spoke.netns.remove("eth1", "172.16.1.2/24")
    spoke.netns.sysctl("net.ipv4.conf.eth1.promote_secondaries", "1")
    spoke.netns.add("eth1", "172.16.1.3/24")
    spoke.netns.remove("eth1", "172.16.1.1/24")
    spoke.netns.route("172.16.1.254")
    changed = control.wait("nbma-changed")
    assert (changed["old"], changed["new"]) == ("172.16.1.1", "172.16.1.3")
    control.wait("registered", nbma="172.16.1.3")
    assert control.query("nhs")[0]["requests_sent"] == 2


def test_two_spokes_on_one_line_that_swap_addresses_end_up_each_with_its_own(lab: World) -> None:
    hub, one = lab.hub(), lab.spoke(1)
    two = lab.add("spoke-2", "172.16.2.1/24", spoke_tunnel(2))
    at_hub = hub.start()
    at_one, at_two = one.start(), two.start()
    at_one.wait("registered")
    at_two.wait("registered")
    # The lines are swapped with the addresses: what one had, the other has now.
    one.netns.remove("eth1", "172.16.1.1/24")
    two.netns.remove("eth1", "172.16.2.1/24")
    lab.isp.remove(one.line, "172.16.1.254/24")
    lab.isp.remove(two.line, "172.16.2.254/24")
    lab.isp.add(one.line, "172.16.2.254/24")
    lab.isp.add(two.line, "172.16.1.254/24")
    one.netns.add("eth1", "172.16.2.1/24")
    one.netns.route("172.16.2.254")
    two.netns.add("eth1", "172.16.1.1/24")
    two.netns.route("172.16.1.254")
    at_one.wait("registered", nbma="172.16.2.1")
    at_two.wait("registered", nbma="172.16.1.1")
    assert hub.neighbours() == {"10.0.0.11": "172.16.2.1", "10.0.0.12": "172.16.1.1"}
    assert {each["nbma"] for each in at_hub.query("multicast")} == {"172.16.1.1", "172.16.2.1"}
    one.ping("10.0.0.1")
    two.ping("10.0.0.1")


def test_an_address_whose_route_never_comes_is_used_all_the_same(lab: World) -> None:
    lab.hub().start()
    spoke = lab.add("late", None, spoke_tunnel(1), network="172.16.1.0/24")
    control = spoke.start()
    control.wait("agent-ready")
    added = time.time()
    spoke.netns.add("eth1", "172.16.1.1/24")
    sent = control.wait("registration-sent", trigger="tunnel-up")
    assert 0.9 < sent["at"] - added < 3.0  # it waited for a route, a second and no longer
    spoke.netns.route("172.16.1.254")
    control.wait("registered", nbma="172.16.1.1")
    assert spoke.neighbours() == {"10.0.0.1": HUB_NBMA}
