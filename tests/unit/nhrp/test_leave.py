"""A spoke that ends takes its registration back; what RFC 2332 names as reasons to purge (section 5.2.5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmvpn_lab.nhrp.actions import RemoveNeighbour, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.constants import PacketType, PurgeFlag
from tests.unit.nhrp.builders import agent, deliver, hub, request, spoke_config
from tests.unit.nhrp.deck import BOUND, HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, events, packets, reply


def pair(**changes: object) -> tuple[Agent, Agent]:
    """A spoke and a hub that has it."""
    spoke, at_hub = agent(spoke_config(**changes)), hub(**changes)
    sent = reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    deliver(spoke, reply(deliver(at_hub, sent)), HUB_NBMA)
    assert bindings(at_hub) == BOUND
    return spoke, at_hub


@pytest.mark.parametrize("secret", [None, "secret"])
def test_a_hub_forgets_a_spoke_that_leaves_at_once_and_says_nothing_back(secret: str | None) -> None:
    spoke, at_hub = pair(authentication=secret)
    left = spoke.leave(1.0)
    assert events(left) == ["purge-sent"]
    purge = reply(left)
    assert (purge.type, purge.flags) == (PacketType.PURGE_REQUEST, PurgeFlag.NO_REPLY)
    assert (purge.source_protocol, purge.destination_protocol) == (SPOKE, HUB)
    done = deliver(at_hub, purge, now=2.0)
    assert bindings(at_hub) == {}
    assert RemoveNeighbour(TUNNEL, SPOKE) in done
    assert packets(done) == []
    assert at_hub.counters()[TUNNEL]["received-purge-request"] == 1
    assert spoke.counters()[TUNNEL]["sent-purge-request"] == 1


def test_whoever_was_told_of_the_spoke_that_leaves_is_told_that_it_left() -> None:
    spoke, at_hub = pair()
    deliver(at_hub, request(OTHER, OTHER_NBMA), OTHER_NBMA)
    question = replace(
        request(OTHER, OTHER_NBMA), type=PacketType.RESOLUTION_REQUEST, destination_protocol=SPOKE
    )
    deliver(at_hub, question, OTHER_NBMA)
    done = deliver(at_hub, reply(spoke.leave(1.0)), now=2.0)
    (purge,) = [a for a in done if isinstance(a, SendPacket)]
    assert purge.nbma == OTHER_NBMA
    assert packets(done)[0].cies[0].protocol == SPOKE


def test_a_spoke_that_has_left_sends_nothing_more_until_it_has_another_address() -> None:
    spoke, _ = pair()
    spoke.leave(1.0)
    assert spoke.deadline() is None
    assert spoke.leave(1.0) == []
    again = spoke.source_changed(TUNNEL, OTHER_NBMA, 5.0)
    assert "registration-sent" in events(again)


def test_who_was_never_registered_takes_nothing_back() -> None:
    spoke = agent(spoke_config())
    spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)
    assert spoke.leave(1.0) == []


def test_an_agent_that_ends_without_leaving_takes_nothing_back() -> None:
    spoke, _ = pair()
    assert packets(spoke.shutdown(1.0)) == []


def test_nobody_can_leave_for_another() -> None:
    spoke, at_hub = pair()
    deliver(at_hub, reply(spoke.leave(1.0)), OTHER_NBMA, 2.0)
    assert bindings(at_hub, 2.0) == BOUND
