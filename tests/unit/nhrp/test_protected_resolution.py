"""Spokes that meet directly under IPsec: packets go through the server until there is an SA."""

from __future__ import annotations

from dataclasses import replace

from dmvpn_lab.nhrp.actions import Protect, RemoveNeighbour, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.constants import PacketType
from tests.unit.nhrp.builders import agent, deliver, spoke_config
from tests.unit.nhrp.deck import HUB_NBMA, OTHER, OTHER_NBMA, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.resolving import DIRECT, VIA_HUB, told
from tests.unit.nhrp.seen import events, reply

HUB_ONLY = Protect(TUNNEL, frozenset({HUB_NBMA}))
BOTH = Protect(TUNNEL, frozenset({HUB_NBMA, OTHER_NBMA}), frozenset({OTHER_NBMA}))
MOVED = SPOKE_NBMA + 5


def spoke() -> Agent:
    """Spoke A of a protected phase 2 cloud, registered for good."""
    made = agent(spoke_config(resolve=True, protected=True, registration_interval_s=10**9))
    made.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    sent = reply(made.secured(SPOKE_NBMA, HUB_NBMA, "hub", 0.0))
    deliver(made, replace(sent, type=PacketType.REGISTRATION_REPLY), HUB_NBMA, 0.0)
    return made


def test_an_answer_asks_for_an_sa_and_packets_go_by_the_server_until_it_is_there() -> None:
    made = spoke()
    done = told(made)
    assert VIA_HUB in done
    assert DIRECT not in done
    assert done.index(VIA_HUB) < done.index(BOTH)
    assert made.secured(SPOKE_NBMA, OTHER_NBMA, "spoke-b", 2.0) == [DIRECT]


def test_a_use_before_the_sa_is_no_use_of_the_direct_way() -> None:
    made = spoke()
    told(made)
    assert made.probed(TUNNEL, OTHER, 1.5) == [VIA_HUB]
    made.secured(SPOKE_NBMA, OTHER_NBMA, "spoke-b", 2.0)
    assert made.probed(TUNNEL, OTHER, 3.0) == [DIRECT]


def test_a_lost_sa_leads_packets_by_the_server_again() -> None:
    made = spoke()
    told(made)
    made.secured(SPOKE_NBMA, OTHER_NBMA, "spoke-b", 2.0)
    assert made.unsecured(SPOKE_NBMA, OTHER_NBMA) == [VIA_HUB]
    assert made.unsecured(SPOKE_NBMA, HUB_NBMA) == []


def test_a_binding_that_ends_needs_no_sa_any_more() -> None:
    made = spoke()
    told(made, holding=90)
    made.secured(SPOKE_NBMA, OTHER_NBMA, "spoke-b", 2.0)
    gone = made.tick(92.0)
    assert gone[0] == RemoveNeighbour(TUNNEL, OTHER)
    assert events(gone) == ["resolution-ended"]
    assert gone[-1] == HUB_ONLY


def test_with_a_new_source_address_there_is_no_sa_with_anybody() -> None:
    made = spoke()
    told(made)
    made.secured(SPOKE_NBMA, OTHER_NBMA, "spoke-b", 2.0)
    assert VIA_HUB in made.source_changed(TUNNEL, MOVED, 3.0)
    assert made.secured(MOVED, OTHER_NBMA, "spoke-b", 4.0) == [DIRECT]


def test_a_link_that_is_new_gets_the_way_that_holds_now() -> None:
    made = spoke()
    told(made)
    assert VIA_HUB in made.neighbours(TUNNEL)
    made.secured(SPOKE_NBMA, OTHER_NBMA, "spoke-b", 2.0)
    assert DIRECT in made.neighbours(TUNNEL)


def test_a_bare_tunnel_asks_for_no_sa() -> None:
    made = agent(spoke_config(resolve=True, registration_interval_s=10**9))
    sent = reply(made.source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    deliver(made, replace(sent, type=PacketType.REGISTRATION_REPLY), HUB_NBMA, 0.0)
    done = told(made)
    assert done[0] == DIRECT
    assert not any(isinstance(each, Protect) for each in done)


def test_behind_a_nat_the_sa_is_the_trial_of_the_direct_way() -> None:
    made = spoke()
    made.tunnels[TUNNEL].outside = MOVED
    done = told(made)
    assert VIA_HUB in done
    assert BOTH in done
    assert not [each for each in done if isinstance(each, SendPacket) and each.nbma == OTHER_NBMA]
    assert made.secured(SPOKE_NBMA, OTHER_NBMA, "spoke-b", 2.0) == [DIRECT]
