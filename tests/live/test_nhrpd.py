"""At home beside FRR's nhrpd: our spokes with its hub, its spokes with our hub, with authentication."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.agents import HUB_NBMA, Router, World, world
from tests.live.nhrpd import Nhrpd, eventually

pytestmark = pytest.mark.live

SECRET = "ip nhrp authentication secret"
NHS = f"ip nhrp nhs 10.0.0.1 nbma {HUB_NBMA}"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


def their_hub(made: World, *lines: str) -> Nhrpd:
    """nhrpd as hub, beside nothing of ours."""
    return Nhrpd(made.add("hub", f"{HUB_NBMA}/24"), "10.0.0.1", "ip nhrp holdtime 600", *lines)


def their_spoke(made: World, number: int, *lines: str) -> tuple[Router, Nhrpd]:
    """nhrpd as spoke N."""
    router = made.add(f"frr-{number}", f"172.16.{number}.1/24")
    no_unique = "ip nhrp registration no-unique"
    return router, Nhrpd(router, f"10.0.0.1{number}", "ip nhrp holdtime 600", no_unique, NHS, *lines)


def bound(theirs: Nhrpd, protocol: str, nbma: str) -> None:
    """Wait until nhrpd has it."""
    eventually(lambda: theirs.cache().get(protocol) == nbma, theirs.cache)


def test_our_spoke_registers_with_their_hub_and_again_when_it_moves(made: World) -> None:
    hub = their_hub(made, SECRET)
    spoke = made.spoke(1, authentication="secret")
    ours = spoke.start()
    assert ours.wait("registered", patience_s=60)["nbma"] == "172.16.1.1"
    bound(hub, "10.0.0.11", "172.16.1.1")
    spoke.ping("10.0.0.1")
    spoke.move("172.16.1.1/24", "172.16.1.77/24")
    assert ours.wait("registered", patience_s=60)["nbma"] == "172.16.1.77"
    bound(hub, "10.0.0.11", "172.16.1.77")
    spoke.ping("10.0.0.1")


@pytest.mark.long
def test_our_spoke_with_another_secret_stays_outside_of_their_cloud(made: World) -> None:
    hub = their_hub(made, SECRET)
    ours = made.spoke(1, authentication="other").start()
    ours.wait("registration-timeout", patience_s=60)
    assert hub.cache() == {}


def test_their_spoke_registers_with_our_hub_and_again_when_it_moves(made: World) -> None:
    hub = made.hub(authentication="secret")
    ours = hub.start()
    router, theirs = their_spoke(made, 2, SECRET)
    event = ours.wait("peer-registered", patience_s=60, protocol="10.0.0.12")
    assert (event["nbma"], event["holding_time_s"]) == ("172.16.2.1", 600)
    bound(theirs, "10.0.0.1", HUB_NBMA)
    router.ping("10.0.0.1")
    router.move("172.16.2.1/24", "172.16.2.77/24")
    event = ours.wait("peer-registered", patience_s=60, protocol="10.0.0.12")
    assert (event["nbma"], event["previous_nbma"]) == ("172.16.2.77", "172.16.2.1")
    hub.ping("10.0.0.12")


@pytest.mark.long
def test_their_spoke_with_another_secret_is_refused_by_our_hub_and_counted(made: World) -> None:
    ours = made.hub(authentication="secret").start()
    their_spoke(made, 2, "ip nhrp authentication other")
    refused = ours.wait("peer-refused", patience_s=60)
    assert (refused["protocol"], refused["code"]) == ("10.0.0.12", 11)
    assert ours.query("nhrp") == []


def test_one_of_ours_and_one_of_theirs_meet_directly_by_our_hub(made: World) -> None:
    ours_at_hub = made.hub().start()
    router, theirs = their_spoke(made, 2)
    ours_at_hub.wait("peer-registered", patience_s=60, protocol="10.0.0.12")
    # Its own address is a /32, so the rest of the cloud needs a route: by the hub.
    router.netns.ip("route add 10.0.0.0/24 via 10.0.0.1 dev tunnel0 onlink")
    spoke = made.spoke(1, resolve=True)
    ours = spoke.start()
    ours.wait("registered", patience_s=60)
    spoke.ping("10.0.0.12", "-W", "20")
    assert ours.wait("resolved", patience_s=60)["nbma"] == "172.16.2.1"
    assert spoke.neighbours()["10.0.0.1"] == HUB_NBMA
    shown = spoke.netns.ip("-4 neigh show dev tunnel0")
    assert "10.0.0.12 lladdr 172.16.2.1" in shown
    bound(theirs, "10.0.0.1", HUB_NBMA)
    router.ping("10.0.0.1")


def test_our_spoke_resolves_another_of_ours_through_their_hub(made: World) -> None:
    their_hub(made)
    for number in (1, 2):
        made.spoke(number, resolve=True).start().wait("registered", patience_s=60)
    first = made.routers[1]
    first.ping("10.0.0.12", "-W", "20")
    assert first.control is not None
    assert first.control.wait("resolved", patience_s=60)["nbma"] == "172.16.2.1"
