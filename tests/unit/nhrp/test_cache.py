"""The cache: bind, replace, run out, and know when."""

from __future__ import annotations

from ipaddress import IPv4Address

from dmvpn_lab.nhrp.cache import Binding, Cache
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL


def dynamic(protocol: IPv4Address, expires: float, nbma: IPv4Address = SPOKE_NBMA) -> Binding:
    return Binding(TUNNEL, protocol, nbma, 0.0, holding_time_s=300, expires=expires)


def test_an_empty_cache_has_nothing_and_no_deadline() -> None:
    cache = Cache()
    assert (len(cache), list(cache), cache.get(SPOKE), cache.deadline()) == (0, [], None, None)
    assert cache.expire(1e9) == []
    assert cache.remove(SPOKE) is None


def test_binding_an_address_again_replaces_and_returns_what_was_there() -> None:
    cache = Cache()
    first, second = dynamic(SPOKE, 10.0), dynamic(SPOKE, 20.0, OTHER_NBMA)
    assert cache.bind(first) is None
    assert cache.bind(second) is first
    assert cache.get(SPOKE) is second
    assert len(cache) == 1


def test_a_binding_runs_out_at_its_time_and_not_before() -> None:
    cache = Cache()
    binding = dynamic(SPOKE, 10.0)
    cache.bind(binding)
    assert cache.deadline() == 10.0
    assert cache.expire(9.999) == []
    assert cache.expire(10.0) == [binding]
    assert cache.get(SPOKE) is None
    assert cache.deadline() is None


def test_bindings_run_out_oldest_first_and_the_deadline_moves_to_the_next() -> None:
    cache = Cache()
    late, early, later = dynamic(SPOKE, 20.0), dynamic(OTHER, 10.0), dynamic(HUB, 30.0)
    for each in (late, early, later):
        cache.bind(each)
    assert cache.deadline() == 10.0
    assert cache.expire(25.0) == [early, late]
    assert cache.deadline() == 30.0


def test_a_renewed_binding_lives_on_though_the_deadline_was_set_for_its_old_time() -> None:
    cache = Cache()
    cache.bind(dynamic(SPOKE, 10.0))
    cache.bind(dynamic(SPOKE, 100.0))
    assert (cache.deadline() or 0.0) <= 100.0
    assert cache.expire(10.0) == []
    assert cache.deadline() == 100.0
    assert cache.get(SPOKE) is not None


def test_a_removed_binding_does_not_run_out_again() -> None:
    cache = Cache()
    binding = dynamic(SPOKE, 10.0)
    cache.bind(binding)
    assert cache.remove(SPOKE) is binding
    assert cache.expire(11.0) == []
    assert cache.deadline() is None


def test_a_static_binding_never_runs_out() -> None:
    cache = Cache()
    cache.bind(Binding(TUNNEL, HUB, HUB_NBMA, 0.0, static=True))
    assert cache.deadline() is None
    cache.bind(dynamic(SPOKE, 10.0))
    assert [b.protocol for b in cache.expire(1e9)] == [SPOKE]
    assert [b.protocol for b in cache] == [HUB]


def test_a_cache_is_full_at_its_limit() -> None:
    cache = Cache(limit=2)
    cache.bind(dynamic(SPOKE, 10.0))
    assert not cache.full
    cache.bind(dynamic(OTHER, 10.0))
    assert cache.full
    cache.bind(dynamic(OTHER, 20.0))
    assert cache.full
    cache.remove(OTHER)
    assert not cache.full


def test_a_renewal_is_told_apart_from_a_change_and_moves_no_peer() -> None:
    cache, bound = Cache(), dynamic(SPOKE, 10.0)
    cache.bind(bound)
    cache.bind(dynamic(OTHER, 10.0, OTHER_NBMA))
    assert (cache.take_renewed(), len(cache.take_changed())) == ([], 2)
    assert cache.take_moved(TUNNEL) == [SPOKE_NBMA, OTHER_NBMA]
    bound.expires = 20.0
    cache.renewed(20.0, [bound])
    assert cache.take_renewed() == [(20.0, [bound])]
    assert (cache.take_changed(), cache.take_moved(TUNNEL)) == ([], [])
    assert [binding.protocol for binding in cache.expire(10.0)] == [OTHER]
    assert cache.take_renewed() == []


def test_what_was_renewed_and_then_changed_or_went_is_told_as_a_change() -> None:
    cache = Cache()
    bound = [dynamic(protocol, 10.0) for protocol in (SPOKE, OTHER)]
    for each in bound:
        cache.bind(each)
    cache.take_changed()
    cache.renewed(20.0, bound)
    moved = dynamic(SPOKE, 30.0, OTHER_NBMA)
    cache.bind(moved)
    cache.remove(OTHER)
    assert cache.take_renewed() == [(20.0, [])]
    assert cache.take_changed() == [(SPOKE, moved), (OTHER, None)]


def test_a_peer_moves_when_its_first_binding_comes_and_when_its_last_goes() -> None:
    cache = Cache()
    for number, protocol in enumerate((SPOKE, OTHER)):
        cache.bind(dynamic(protocol, 10.0))
        assert cache.take_moved(TUNNEL) == ([] if number else [SPOKE_NBMA])
    cache.remove(SPOKE)
    assert (cache.take_moved(TUNNEL), cache.is_peer(TUNNEL, SPOKE_NBMA)) == ([], True)
    cache.remove(OTHER)
    assert (cache.take_moved(TUNNEL), cache.is_peer(TUNNEL, SPOKE_NBMA)) == ([SPOKE_NBMA], False)
