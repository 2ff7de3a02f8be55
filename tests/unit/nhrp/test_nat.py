"""NAT: the hub tells a spoke how it is seen; a direct way through a NAT is tried before it is used."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from dmvpn_lab.nhrp.actions import InstallNeighbour, SendPacket
from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import CieCode, ExtensionType, PacketType
from dmvpn_lab.nhrp.extensions import Extension
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp import resolving
from tests.unit.nhrp.builders import agent, deliver, hub, request, spoke_config
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import events, facts, packets, reply

INSIDE = IPv4Address("10.9.1.2")
OTHER_INSIDE = IPv4Address("10.9.2.2")


def nat_entries(packet: Packet) -> list[tuple[object, object]]:
    """(NBMA, protocol) of the entries of a packet's NAT extension."""
    extension = packet.extension(ExtensionType.NAT_ADDRESS)
    return [] if extension is None else [(cie.nbma, cie.protocol) for cie in extension.cies()]


def nat_extension(nbma: IPv4Address, protocol: IPv4Address) -> Extension:
    """Of a reply."""
    value = encode_cie(Cie(prefix_length=32, nbma=nbma, protocol=protocol))
    return Extension(ExtensionType.NAT_ADDRESS, False, value)


def behind_nat(**changes: object) -> Agent:
    """Spoke A of a phase 2 cloud, at 10.9.1.2 behind 172.16.1.1, registered for good."""
    made = agent(spoke_config(resolve=True, registration_interval_s=10**9, **changes))
    sent = reply(made.source_changed(TUNNEL, INSIDE, 0.0))
    at_hub = hub()
    deliver(made, reply(deliver(at_hub, sent, SPOKE_NBMA)), HUB_NBMA, 0.0)
    return made


def answer(question: Packet, *extensions: Extension, nbma: IPv4Address = OTHER_NBMA) -> Packet:
    """The server's reply, with these extensions."""
    return resolving.answer(question, nbma=nbma, extensions=extensions)


# --- registration ---


def test_a_request_names_its_server_in_the_nat_extension_last_and_not_compulsory() -> None:
    sent = reply(agent(spoke_config()).source_changed(TUNNEL, INSIDE, 0.0))
    assert sent.extensions is not None
    assert (sent.extensions[-1].type, sent.extensions[-1].compulsory) == (ExtensionType.NAT_ADDRESS, False)
    assert nat_entries(sent) == [(HUB_NBMA, HUB)]


def test_a_hub_that_sees_another_address_than_the_request_says_adds_it_and_binds_to_it() -> None:
    at_hub = hub()
    sent = reply(agent(spoke_config()).source_changed(TUNNEL, INSIDE, 0.0))
    done = deliver(at_hub, sent, SPOKE_NBMA)
    (entry,) = at_hub.nhrp(1.0)
    assert (entry["nbma"], "nat" in entry["flags"]) == (str(SPOKE_NBMA), True)
    assert nat_entries(reply(done)) == [(HUB_NBMA, HUB), (SPOKE_NBMA, SPOKE)]
    assert at_hub.counters()[TUNNEL]["nbma-mismatch"] == 1


def test_a_hub_adds_nothing_without_a_nat() -> None:
    at_hub = hub()
    sent = reply(agent(spoke_config()).source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    assert nat_entries(reply(deliver(at_hub, sent, SPOKE_NBMA))) == [(HUB_NBMA, HUB)]
    assert "nat" not in at_hub.nhrp(1.0)[0]["flags"]


def test_a_hub_does_not_add_an_extension_that_the_request_has_not() -> None:
    done = deliver(hub(), request(nbma=INSIDE), SPOKE_NBMA)
    assert [e.type for e in reply(done).extensions or ()] == [3, 4, 5]


def test_a_spoke_learns_how_it_is_seen_and_forgets_it_with_its_address() -> None:
    made = agent(spoke_config())
    sent = reply(made.source_changed(TUNNEL, INSIDE, 0.0))
    done = deliver(made, reply(deliver(hub(), sent, SPOKE_NBMA)), HUB_NBMA, 0.0)
    assert events(done) == ["nat-changed", "registered"]
    assert facts(done, "nat-changed")["outside"] == str(SPOKE_NBMA)
    made.source_changed(TUNNEL, SPOKE_NBMA, 1.0)
    assert made.tunnels[TUNNEL].outside is None


# --- resolution ---


def test_a_hubs_answer_about_a_spoke_behind_nat_names_the_outside_address_twice() -> None:
    at_hub = hub()
    deliver(at_hub, request(OTHER, OTHER_INSIDE), OTHER_NBMA)
    question = replace(request(), type=PacketType.RESOLUTION_REQUEST, destination_protocol=OTHER)
    said = reply(deliver(at_hub, question))
    assert said.cies[0].nbma == OTHER_NBMA
    assert nat_entries(said) == [(OTHER_NBMA, OTHER)]


def test_without_a_nat_an_answer_is_used_at_once() -> None:
    made = resolving.spoke()
    question = reply(made.probed(TUNNEL, OTHER, 1.0))
    done = deliver(made, answer(question), HUB_NBMA)
    assert done[0] == InstallNeighbour(TUNNEL, OTHER, OTHER_NBMA, on_demand=True)


def test_a_peer_behind_nat_is_asked_itself_and_used_once_it_answers() -> None:
    made = resolving.spoke()
    question = reply(made.probed(TUNNEL, OTHER, 1.0))
    done = deliver(made, answer(question, nat_extension(OTHER_NBMA, OTHER), nbma=OTHER_INSIDE), HUB_NBMA)
    (sent,) = done
    assert isinstance(sent, SendPacket)
    assert sent.nbma == OTHER_NBMA  # outside, not 10.9.2.2
    trial = reply(done)
    assert (trial.type, trial.destination_protocol) == (PacketType.RESOLUTION_REQUEST, OTHER)
    assert trial.request_id != question.request_id
    done = deliver(made, answer(trial), OTHER_NBMA, 1.2)
    assert done[0] == InstallNeighbour(TUNNEL, OTHER, OTHER_NBMA, on_demand=True)
    assert events(done) == ["resolved"]


def test_a_spoke_behind_nat_tries_the_way_to_everybody() -> None:
    made = behind_nat()
    question = reply(made.probed(TUNNEL, OTHER, 1.0))
    assert nat_entries(question) == [(SPOKE_NBMA, SPOKE)]
    done = deliver(made, answer(question), HUB_NBMA)
    assert not any(isinstance(action, InstallNeighbour) for action in done)
    assert reply(done).destination_protocol == OTHER


def test_nobody_but_the_peer_itself_can_answer_a_trial() -> None:
    made = behind_nat()
    trial = reply(deliver(made, answer(reply(made.probed(TUNNEL, OTHER, 1.0))), HUB_NBMA))
    assert deliver(made, answer(trial), HUB_NBMA) == []
    assert deliver(made, answer(replace(trial, source_protocol=OTHER)), OTHER_NBMA) == []
    assert made.counters()[TUNNEL]["unknown-reply"] == 2


def test_a_way_that_stays_closed_is_tried_four_times_and_packets_go_by_the_hub() -> None:
    made = behind_nat()
    deliver(made, answer(reply(made.probed(TUNNEL, OTHER, 1.0))), HUB_NBMA)
    told: list[str] = []
    sent, now = 1, 1.0
    while not told:
        due = made.deadline()
        assert due is not None
        now = due
        done = made.tick(now)
        sent, told = sent + len(packets(done)), events(done)
    assert (sent, told) == (4, ["no-direct-way"])
    assert 10 < now < 20
    assert made.nhrp(now)[1:] == []
    assert made.probed(TUNNEL, OTHER, now) == [InstallNeighbour(TUNNEL, OTHER, HUB_NBMA, on_demand=True)]


def test_a_late_answer_to_a_trial_that_was_given_up_counts_for_nothing() -> None:
    made = behind_nat()
    trial = reply(deliver(made, answer(reply(made.probed(TUNNEL, OTHER, 1.0))), HUB_NBMA))
    made.clear(2.0)
    assert deliver(made, answer(trial), OTHER_NBMA, 2.1) == []
    assert [entry["protocol"] for entry in made.nhrp(3.0)] == [str(HUB)]


def test_two_behind_one_nat_are_told_so_and_meet_through_the_hub() -> None:
    made = behind_nat()
    question = reply(made.probed(TUNNEL, OTHER, 1.0))
    done = deliver(made, answer(question, nat_extension(SPOKE_NBMA, OTHER)), HUB_NBMA)
    assert facts(done, "resolution-refused")["code"] == CieCode.INSUFFICIENT_RESOURCES
    assert packets(done) == []


def test_our_own_nat_extension_that_a_server_copied_is_no_word_about_the_peer() -> None:
    made = resolving.spoke()
    question = reply(made.probed(TUNNEL, OTHER, 1.0))
    done = deliver(made, answer(question, nat_extension(SPOKE_NBMA, SPOKE)), HUB_NBMA)
    assert done[0] == InstallNeighbour(TUNNEL, OTHER, OTHER_NBMA, on_demand=True)


def test_a_spoke_behind_nat_answers_for_itself_with_its_outside_address() -> None:
    made = behind_nat()
    question = replace(
        request(OTHER, OTHER_NBMA), type=PacketType.RESOLUTION_REQUEST, destination_protocol=SPOKE
    )
    said = reply(made.receive(TUNNEL, encode(question), OTHER_NBMA, 1.0))
    assert said.cies[0].nbma == SPOKE_NBMA
    assert nat_entries(said) == [(SPOKE_NBMA, SPOKE)]
