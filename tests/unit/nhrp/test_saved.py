"""What an agent takes over from the one before it, and what not."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address

import pytest

from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.saved import NOTHING, Saved, bind_lines, bindings_of, renew_lines, renewals_of
from tests.unit.nhrp.builders import agent, deliver, hub, hub_config, purge, request, spoke_config
from tests.unit.nhrp.deck import BOUND, HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, events, facts, multicast_changes, reply

NOW = 100.0
VALID = Binding(TUNNEL, SPOKE, SPOKE_NBMA, 1.5, unique=True, holding_time_s=300, expires=301.5, request_id=5)


def restored(*saved: Binding, last_id: int | None = None, **changes: object) -> tuple[Agent, list[str]]:
    made = agent(hub_config(**changes))
    return made, events(made.restore(Saved(last_id, saved), NOW))


def test_a_binding_survives_as_record_and_back() -> None:
    (line,) = bind_lines([(1, VALID)])
    assert bindings_of(json.loads(line)) == [VALID]


def test_bindings_that_were_made_together_share_a_record_and_others_have_their_own() -> None:
    unlike = [replace(VALID, unique=False), replace(VALID, resolved=True), replace(VALID, natted=True),
              replace(VALID, expires=300.0), replace(VALID, created=1.0), replace(VALID, interface='a"b'),
              replace(VALID, protocol=IPv6Address("2001:db8::1"))]  # fmt: skip
    alike = replace(VALID, protocol=OTHER, nbma=OTHER_NBMA, request_id=77)
    records = [json.loads(line) for line in bind_lines((1, each) for each in (VALID, *unlike, alike))]
    assert len(records) == 1 + len(unlike)
    assert [bindings_of(record) for record in records] == [[VALID, alike], *([each] for each in unlike)]


def test_renewals_that_end_together_share_a_record_and_each_keeps_its_id() -> None:
    late = replace(VALID, protocol=OTHER, request_id=9)
    other = replace(VALID, expires=400.0, request_id=10)
    told = [(1, (301.5, [VALID, late])), (1, (400.0, [other])), (2, (301.5, [late])), (1, (9.0, []))]
    lines = renew_lines(told)
    assert sorted(renewals_of(json.loads(line)) for line in lines) == [
        [((1, SPOKE.packed), 301.5, 5), ((1, OTHER.packed), 301.5, 9)],
        [((1, SPOKE.packed), 400.0, 10)],
        [((2, OTHER.packed), 301.5, 9)],
    ]


def test_a_binding_is_taken_over_with_the_rest_of_its_holding_time() -> None:
    made, said = restored(VALID)
    assert said == ["state-restored"]
    (entry,) = made.nhrp(NOW)
    assert (entry["protocol"], entry["nbma"], entry["expires_in_s"]) == (str(SPOKE), str(SPOKE_NBMA), 201.5)
    assert made.deadline() == 301.5
    assert events(made.tick(301.5)) == ["multicast-changed", "peer-expired"]
    assert bindings(made) == {}


def test_its_multicast_peer_is_there_before_any_packet_and_no_renewal_changes_it() -> None:
    made, _ = restored(VALID)
    assert [entry["nbma"] for entry in made.multicast()] == [str(SPOKE_NBMA)]
    made.source_changed(TUNNEL, HUB_NBMA, NOW)
    done = deliver(made, request(unique=True, request_id=6), now=NOW + 1)
    assert multicast_changes(done) == []
    assert reply(done).cies[0].code == 0


def test_a_unique_address_is_still_its_owners() -> None:
    made, _ = restored(VALID)
    made.source_changed(TUNNEL, HUB_NBMA, NOW)
    done = deliver(made, request(nbma=OTHER_NBMA, request_id=9), OTHER_NBMA, now=NOW + 1)
    assert reply(done).cies[0].code == 14


@pytest.mark.parametrize(
    "invalid",
    [
        replace(VALID, expires=NOW),
        replace(VALID, expires=NOW + 301),
        replace(VALID, expires=None),
        replace(VALID, interface="tunnel9"),
        replace(VALID, protocol=HUB),
        replace(VALID, protocol=IPv4Address("10.0.1.11")),
        replace(VALID, protocol=OTHER),
    ],
    ids=["run out", "too long", "endless", "no such tunnel", "our own", "other subnet", "static now"],
)
def test_what_is_not_valid_any_more_is_dropped_and_counted(invalid: Binding) -> None:
    made = agent(hub_config(static_maps=((OTHER, OTHER_NBMA),)))
    done = made.restore(Saved(None, (invalid, VALID)), NOW)
    assert facts(done, "state-restored") == {"bindings": 1, "dropped": 1}
    assert bindings(made, NOW) == BOUND


def test_an_earlier_agent_without_bindings_is_told_of_too_and_none_is_not() -> None:
    made = agent(hub_config())
    assert facts(made.restore(Saved(4000), NOW), "state-restored") == {"bindings": 0, "dropped": 0}
    assert made.restore(NOTHING, NOW) == []


def test_request_ids_go_on_where_the_earlier_agent_stopped() -> None:
    spoke = agent(spoke_config())
    spoke.restore(Saved(4000), NOW)
    assert reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, NOW)).request_id == 4001


def test_a_static_map_takes_no_part_in_the_changes() -> None:
    made = hub(static_maps=((OTHER, OTHER_NBMA),))
    assert made.take_changes().bindings == []


def test_each_change_is_told_once_and_the_last_of_several_counts() -> None:
    made = hub()
    deliver(made, request())
    deliver(made, request(nbma=OTHER_NBMA, request_id=6), OTHER_NBMA)
    ((domain, protocol, binding),) = made.take_changes().bindings
    assert (domain, protocol, binding and binding.nbma) == (1, SPOKE, OTHER_NBMA)
    assert made.take_changes().bindings == []
    deliver(made, purge(), OTHER_NBMA)
    assert made.take_changes().bindings == [(1, SPOKE, None)]


def test_a_binding_that_runs_out_is_told_too() -> None:
    made = hub()
    deliver(made, request())
    made.take_changes()
    made.tick(301.0)
    assert made.take_changes().bindings == [(1, SPOKE, None)]


def test_the_agent_that_takes_over_equals_the_one_that_died() -> None:
    first = hub(address=IPv4Interface("10.0.0.1/16"))
    for n in range(50):
        nbma = IPv4Address(f"172.16.{n}.1")
        deliver(first, request(IPv4Address(f"10.0.1.{n}"), nbma, unique=bool(n % 2)), nbma, now=float(n))
    saved = tuple(b for _, _, b in first.take_changes().bindings if b is not None)
    second = agent(hub_config(address=IPv4Interface("10.0.0.1/16")))
    second.restore(Saved(None, saved), 60.0)
    assert second.nhrp(60.0) == first.nhrp(60.0)
    assert second.multicast() == first.multicast()
