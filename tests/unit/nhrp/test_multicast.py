"""Who gets a copy: static peers, registered peers, nobody else."""

from __future__ import annotations

from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.multicast import peers
from tests.unit.nhrp.builders import (
    HUB,
    HUB_NBMA,
    OTHER,
    OTHER_NBMA,
    SPOKE,
    SPOKE_NBMA,
    TUNNEL,
    deliver,
    events,
    hub,
    hub_config,
    multicast_sets,
    request,
    spoke_config,
)

REGISTERED = Binding(TUNNEL, SPOKE, SPOKE_NBMA, 0.0, holding_time_s=300, expires=300.0)
STATIC = Binding(TUNNEL, HUB, HUB_NBMA, 0.0, static=True)


def test_static_peers_are_there_from_the_start() -> None:
    assert peers(spoke_config(), []) == {HUB_NBMA: "static"}


def test_a_registered_peer_is_there_only_where_dynamic_is_configured() -> None:
    assert peers(hub_config(), [REGISTERED]) == {SPOKE_NBMA: "dynamic"}
    assert peers(hub_config(map_multicast_dynamic=False), [REGISTERED]) == {}


def test_a_static_map_is_no_multicast_peer_by_itself() -> None:
    assert peers(hub_config(), [STATIC]) == {}


def test_a_peer_of_another_tunnel_gets_nothing() -> None:
    assert peers(hub_config(name="tunnel1"), [REGISTERED]) == {}


def test_a_peer_that_is_both_is_listed_once_as_static() -> None:
    assert peers(hub_config(map_multicast=(SPOKE_NBMA,)), [REGISTERED]) == {SPOKE_NBMA: "static"}


def test_two_addresses_behind_one_nbma_address_get_one_copy() -> None:
    made = hub()
    assert multicast_sets(deliver(made, request(SPOKE), SPOKE_NBMA)) == [frozenset({SPOKE_NBMA})]
    assert multicast_sets(deliver(made, request(OTHER, SPOKE_NBMA), SPOKE_NBMA)) == []
    assert [entry["nbma"] for entry in made.multicast()] == [str(SPOKE_NBMA)]


def test_the_set_follows_registrations_and_expiry() -> None:
    made = hub()
    assert made.multicast() == []
    deliver(made, request(SPOKE), SPOKE_NBMA, now=1.0)
    both = deliver(made, request(OTHER, OTHER_NBMA), OTHER_NBMA, now=50.0)
    assert multicast_sets(both) == [frozenset({SPOKE_NBMA, OTHER_NBMA})]
    assert multicast_sets(made.tick(301.0)) == [frozenset({OTHER_NBMA})]
    assert multicast_sets(made.tick(350.0)) == [frozenset()]


def test_an_unchanged_set_is_not_set_again() -> None:
    made = hub(map_multicast_dynamic=False)
    assert "multicast-changed" not in events(deliver(made, request()))
