"""Who gets a copy: static peers, registered peers, nobody else."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from dmvpn_lab.nhrp.cache import Binding, Cache
from dmvpn_lab.nhrp.multicast import peers
from dmvpn_lab.nhrp.tunnel import Tunnel
from tests.unit.nhrp.builders import deliver, hub, hub_config, request, spoke_config
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import events, multicast_changes

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
    assert multicast_changes(deliver(made, request(SPOKE), SPOKE_NBMA)) == [({SPOKE_NBMA}, set())]
    assert multicast_changes(deliver(made, request(OTHER, SPOKE_NBMA), SPOKE_NBMA)) == []
    assert [entry["nbma"] for entry in made.multicast()] == [str(SPOKE_NBMA)]


def test_the_set_follows_registrations_and_expiry() -> None:
    made = hub()
    assert made.multicast() == []
    deliver(made, request(SPOKE), SPOKE_NBMA, now=1.0)
    both = deliver(made, request(OTHER, OTHER_NBMA), OTHER_NBMA, now=50.0)
    assert multicast_changes(both) == [({OTHER_NBMA}, set())]
    assert multicast_changes(made.tick(301.0)) == [(set(), {SPOKE_NBMA})]
    assert multicast_changes(made.tick(350.0)) == [(set(), {OTHER_NBMA})]


def test_an_unchanged_set_is_not_set_again() -> None:
    made = hub(map_multicast_dynamic=False)
    assert "multicast-changed" not in events(deliver(made, request()))


@given(st.lists(st.tuples(st.integers(2, 6), st.integers(1, 3), st.booleans(), st.booleans())), st.booleans())
def test_the_changes_add_up_to_the_set_that_the_bindings_make(
    steps: list[tuple[int, int, bool, bool]], dynamic: bool
) -> None:
    cache = Cache()
    config = hub_config(map_multicast=(OTHER_NBMA,), map_multicast_dynamic=dynamic)
    tunnel = Tunnel(config, cache, installed=True)
    present: set[IPv4Address] = set()
    for at, (host, line, static, remove) in enumerate(steps):
        protocol, nbma = IPv4Address(f"10.0.0.{host}"), IPv4Address(f"172.16.{line}.1")
        if remove:
            cache.remove(protocol)
        else:
            expires = None if static else at + 3.0
            cache.bind(Binding(TUNNEL, protocol, nbma, at, static=static, expires=expires))
        cache.expire(float(at))
        for added, removed in multicast_changes(tunnel.multicast_actions()):
            assert not added & present
            assert removed <= present
            present = present - removed | added
        assert present == peers(config, cache).keys()
