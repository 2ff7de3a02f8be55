"""Phase 3 among three agents: indication, question, answer, shortcut, and all that must not happen."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from dmvpn_lab.nhrp.actions import InstallNeighbour, Notify, RemoveShortcut, SendPacket
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.extensions import Extension
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import agent, hub_config, spoke_config
from tests.unit.nhrp.cloud import FAR, NEAR, Cloud, about, route
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL

LANS = {HUB: "192.168.0.0/24", SPOKE: "192.168.1.0/24", OTHER: "192.168.2.0/24"}


def cloud(parent: str = "192.168.2.0/24", **hub_changes: object) -> Cloud:
    """All registered; spoke A's route to what is behind B is `parent`."""
    made = Cloud()
    made.agents[HUB_NBMA] = agent(hub_config(redirect=True, authentication="secret", **hub_changes))
    for seed, (protocol, nbma) in enumerate(((SPOKE, SPOKE_NBMA), (OTHER, OTHER_NBMA)), 5):
        config = spoke_config(resolve=True, shortcut=True, authentication="secret",
                              address=IPv4Interface(f"{protocol}/24"))  # fmt: skip
        made.agents[nbma] = agent(config, seed=seed)
    made.routes[HUB_NBMA] = {"lan": route(LANS[HUB], "eth2"), "a": route(LANS[SPOKE], TUNNEL, SPOKE),
                             "b": route(LANS[OTHER], TUNNEL, OTHER),
                             "isp": route("0.0.0.0/0", "eth1", IPv4Address("172.17.0.254"))}  # fmt: skip
    made.routes[SPOKE_NBMA] = {"lan": route(LANS[SPOKE], "eth2"), "b": route(parent, TUNNEL, HUB)}
    made.routes[OTHER_NBMA] = {"lan": route(LANS[OTHER], "eth2"), "a": route(LANS[SPOKE], TUNNEL, HUB)}
    for nbma in made.agents:
        made.carry_out(nbma, made.agents[nbma].source_changed(TUNNEL, nbma, 0.0))
    made.forget()
    return made


def forward(made: Cloud, data: bytes | None = None, nbma: IPv4Address | None = SPOKE_NBMA) -> None:
    """The hub's kernel forwarded a packet of spoke A back into the tunnel."""
    made.carry_out(HUB_NBMA, made.agents[HUB_NBMA].forwarded(TUNNEL, TUNNEL, nbma, data or about(), made.now))


A, H, B = str(SPOKE_NBMA), str(HUB_NBMA), str(OTHER_NBMA)


def test_the_hub_tells_the_spoke_which_asks_and_the_other_spoke_answers_for_its_lan() -> None:
    made = cloud()
    forward(made)
    assert made.kinds() == [(H, A, 8), (A, H, 1), (H, B, 1), (B, H, 2), (H, A, 2)]
    assert made.shortcuts() == [("192.168.2.0/24", str(OTHER))]
    assert InstallNeighbour(TUNNEL, OTHER, OTHER_NBMA, on_demand=True) in made.done[SPOKE_NBMA]
    (entry,) = [e for e in made.agents[SPOKE_NBMA].nhrp(made.now) if "shortcut" in e["flags"]]
    assert (entry["protocol"], entry["prefix_length"], entry["nbma"]) == ("192.168.2.0", 24, B)


def test_the_indication_has_the_header_and_8_octets_and_is_for_the_packets_source() -> None:
    made = cloud()
    forward(made, about() + bytes(60))
    indication = made.sent[0][2]
    assert indication.payload == about()
    assert (indication.source_protocol, indication.destination_protocol) == (HUB, NEAR)


def test_question_and_answer_lose_a_hop_and_gain_a_record_each_way() -> None:
    made = cloud()
    forward(made)
    _, asked, passed, answered, returned = (packet for _, _, packet in made.sent)
    assert (asked.hop_count, passed.hop_count) == (255, 254)
    assert (answered.hop_count, returned.hop_count) == (255, 254)
    assert [e.type for e in passed.extensions or ()] == [e.type for e in asked.extensions or ()]
    for packet, kind in ((passed, 4), (returned, 5)):
        extension = packet.extension(kind)
        assert extension is not None
        assert [(cie.nbma, cie.protocol) for cie in extension.cies()] == [(HUB_NBMA, HUB)]
    responder = returned.extension(3)
    assert responder is not None
    assert responder.cies()[0].protocol == OTHER


def test_a_spoke_is_told_of_a_destination_only_now_and_then() -> None:
    made = cloud()
    forward(made)
    forward(made)
    assert [kind for *_, kind in made.kinds()].count(8) == 1
    made.now += 10
    forward(made)
    assert [kind for *_, kind in made.kinds()].count(8) == 2
    assert [kind for *_, kind in made.kinds()].count(1) == 2  # it has the shortcut: no new question


@pytest.mark.parametrize("nbma", [None, IPv4Address("192.0.2.66")])
def test_who_is_not_registered_is_told_nothing(nbma: IPv4Address | None) -> None:
    made = cloud()
    forward(made, nbma=nbma)
    assert made.sent == []


def test_tunnel_addresses_are_no_matter_for_indications() -> None:
    made = cloud()
    forward(made, about(destination=OTHER))
    forward(made, about()[:19])
    assert made.sent == []


@pytest.mark.parametrize(
    ("data", "outer"),
    [
        (about(), OTHER_NBMA),
        (about(source=IPv4Address("192.168.2.9")), HUB_NBMA),
        (about(source=IPv4Address("198.51.100.1")), HUB_NBMA),
        (about()[:19], HUB_NBMA),
        (b"\x60" + about()[1:], HUB_NBMA),
    ],
    ids=["not our server", "not our traffic", "nobody's traffic", "too short", "IPv6"],
)
def test_an_indication_that_must_not_be_believed_is_counted_and_asks_nobody(
    data: bytes, outer: IPv4Address
) -> None:
    made = cloud()
    forward(made)
    indication = replace(made.sent[0][2], payload=data)
    made = cloud()
    spoke = made.agents[SPOKE_NBMA]
    made.carry_out(SPOKE_NBMA, spoke.receive(TUNNEL, encode(indication), outer, 1.0))
    assert made.sent == []
    assert spoke.counters()[TUNNEL]["indication-ignored"] == 1


@pytest.mark.parametrize(
    ("parent", "answered", "prefix"),
    [
        ("192.168.0.0/16", "192.168.2.0/24", "192.168.2.0/24"),
        ("192.168.2.0/24", "192.168.0.0/16", "192.168.2.0/24"),
        ("192.168.2.0/25", "192.168.2.0/24", "192.168.2.0/25"),
        ("0.0.0.0/0", "192.168.2.0/24", "192.168.2.0/24"),
    ],
)
def test_a_shortcut_is_never_wider_than_the_answer_or_the_route_that_it_shortens(
    parent: str, answered: str, prefix: str
) -> None:
    made = cloud(parent)
    made.routes[OTHER_NBMA]["lan"] = route(answered, "eth2")
    forward(made)
    assert made.shortcuts() == [(prefix, str(OTHER))]


def test_without_an_own_route_by_the_tunnel_there_is_nothing_to_shorten() -> None:
    made = cloud()
    made.routes[SPOKE_NBMA]["b"] = route(LANS[OTHER], "eth3")
    forward(made)
    assert made.kinds() == [(H, A, 8)]


def test_the_internet_is_nobodys_lan() -> None:
    made = cloud("0.0.0.0/0")
    forward(made, about(destination=IPv4Address("198.51.100.1")))
    assert made.kinds() == [(H, A, 8), (A, H, 1), (H, A, 2)]
    assert made.sent[-1][2].cies[0].code == 12
    assert sorted(made.events(SPOKE_NBMA)) == ["resolution-refused", "resolution-sent"]
    assert made.shortcuts() == []


def test_what_is_behind_the_hub_itself_makes_no_shortcut_to_it() -> None:
    made = cloud("192.168.0.0/16")
    forward(made, about(destination=IPv4Address("192.168.0.2")))
    assert made.sent[-1][2].cies[0].protocol == HUB
    assert made.shortcuts() == []


def test_a_question_that_would_go_back_to_its_asker_is_refused() -> None:
    made = cloud()
    made.routes[HUB_NBMA]["b"] = route(LANS[OTHER], TUNNEL, SPOKE)
    forward(made)
    assert made.kinds() == [(H, A, 8), (A, H, 1), (H, A, 2)]
    assert made.sent[-1][2].cies[0].code == 12


def question(made: Cloud) -> Packet:
    """What spoke A asks."""
    forward(made)
    packet = made.sent[1][2]
    made.forget()
    return packet


def test_a_question_that_was_here_before_is_a_loop() -> None:
    made = cloud()
    packet = question(made)
    record = encode_cie(Cie(nbma=HUB_NBMA, protocol=HUB, holding_time_s=60))
    extensions = tuple(replace(e, value=record) if e.type == 4 else e for e in packet.extensions or ())
    looped = replace(packet, extensions=extensions)
    made.carry_out(HUB_NBMA, made.agents[HUB_NBMA].receive(TUNNEL, encode(looped), SPOKE_NBMA, 1.0))
    assert made.kinds() == [(H, A, 7)]
    assert made.sent[0][2].error_code == 3
    counted = made.agents[HUB_NBMA].counters()[TUNNEL]
    assert [counted[name] for name in ("loop-detected", "error-sent-code-3", "sent-error-indication")] == [
        1,
        1,
        1,
    ]


def test_an_answer_that_was_here_before_is_a_loop_and_nobody_is_told() -> None:
    made = cloud()
    forward(made)
    answer = made.sent[3][2]
    made.forget()
    record = encode_cie(Cie(nbma=HUB_NBMA, protocol=HUB, holding_time_s=60))
    extensions = tuple(replace(e, value=record) if e.type == 5 else e for e in answer.extensions or ())
    hub = made.agents[HUB_NBMA]
    looped = encode(replace(answer, extensions=extensions))
    made.carry_out(HUB_NBMA, hub.receive(TUNNEL, looped, OTHER_NBMA, 1.0))
    assert made.sent == []
    assert hub.counters()[TUNNEL]["loop-detected"] == 1


def test_a_question_with_its_last_hop_is_not_passed_on_and_its_asker_is_told() -> None:
    made = cloud()
    packet = replace(question(made), hop_count=1)
    made.carry_out(HUB_NBMA, made.agents[HUB_NBMA].receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0))
    assert made.kinds() == [(H, A, 7)]
    assert (made.sent[0][2].error_code, made.sent[0][2].error_offset) == (15, 9)
    counted = made.agents[HUB_NBMA].counters()[TUNNEL]
    assert (counted["hop-count-exceeded"], counted["error-sent-code-15"]) == (1, 1)


def test_an_answer_with_its_last_hop_is_counted_and_nobody_is_told() -> None:
    made = cloud()
    forward(made)
    answer = replace(made.sent[3][2], hop_count=1)
    made.forget()
    hub = made.agents[HUB_NBMA]
    made.carry_out(HUB_NBMA, hub.receive(TUNNEL, encode(answer), OTHER_NBMA, 1.0))
    assert made.sent == []
    assert hub.counters()[TUNNEL]["hop-count-exceeded"] == 1


def test_extensions_that_the_hub_does_not_know_pass_it_unchanged() -> None:
    made = cloud()
    packet = question(made)
    unknown = Extension(0x2FFF, False, b"keep me")
    packet = replace(packet, extensions=(unknown, *(packet.extensions or ())))
    made.carry_out(HUB_NBMA, made.agents[HUB_NBMA].receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0))
    assert (made.sent[0][2].extensions or ())[0] == unknown


def test_an_answer_of_a_stranger_is_not_passed_on() -> None:
    made = cloud()
    forward(made)
    answer = made.sent[3][2]
    made.forget()
    hub = made.agents[HUB_NBMA]
    made.carry_out(HUB_NBMA, hub.receive(TUNNEL, encode(answer), IPv4Address("192.0.2.66"), 1.0))
    made.carry_out(
        HUB_NBMA, hub.receive(TUNNEL, encode(replace(answer, source_protocol=FAR)), OTHER_NBMA, 1.0)
    )
    assert made.sent == []
    counted = hub.counters()[TUNNEL]
    assert (counted["unknown-reply"], counted["unknown-station"]) == (1, 1)  # the second would go back


def test_a_shortcut_goes_with_the_route_that_it_shortens() -> None:
    made = cloud()
    forward(made)
    spoke = made.agents[SPOKE_NBMA]
    made.forget()
    made.carry_out(SPOKE_NBMA, spoke.routes_changed())
    assert not [a for a in made.done[SPOKE_NBMA] if isinstance(a, RemoveShortcut)]
    del made.routes[SPOKE_NBMA]["b"]
    made.carry_out(SPOKE_NBMA, spoke.routes_changed())
    assert RemoveShortcut(TUNNEL, IPv4Network("192.168.2.0/24")) in made.done[SPOKE_NBMA]
    assert spoke.shortcuts(TUNNEL) == []


def test_a_shortcut_goes_before_the_neighbour_when_it_is_idle_to_the_end() -> None:
    made = cloud()
    forward(made)
    spoke = made.agents[SPOKE_NBMA]
    spoke.tick(241.0)
    done = [type(a).__name__ for a in spoke.tick(301.0) if not isinstance(a, SendPacket | Notify)]
    assert done[:2] == ["RemoveShortcut", "RemoveNeighbour"]


def test_a_spoke_that_moves_is_purged_where_a_shortcut_leads_to_it() -> None:
    made = cloud()
    forward(made)
    made.forget()
    new = IPv4Address("172.16.2.9")
    made.agents[new] = made.agents.pop(OTHER_NBMA)
    made.routes[new] = made.routes[OTHER_NBMA]
    made.carry_out(new, made.agents[new].source_changed(TUNNEL, new, 2.0))
    assert (H, A, PacketType.PURGE_REQUEST) in made.kinds()
    assert "shortcut-removed" in made.events(SPOKE_NBMA)
    made.now = 20.0
    forward(made)
    assert InstallNeighbour(TUNNEL, OTHER, new, on_demand=True) in made.done[SPOKE_NBMA]


def test_clear_removes_shortcuts() -> None:
    made = cloud()
    forward(made)
    done = made.agents[SPOKE_NBMA].clear(2.0)
    assert RemoveShortcut(TUNNEL, IPv4Network("192.168.2.0/24")) in done


def test_a_hub_without_redirect_tells_nobody_and_passes_nothing_on() -> None:
    packet = question(cloud())
    made = cloud()
    made.agents[HUB_NBMA].tunnels[TUNNEL].config = replace(
        made.agents[HUB_NBMA].tunnels[TUNNEL].config, redirect=False
    )
    forward(made)
    made.carry_out(HUB_NBMA, made.agents[HUB_NBMA].receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0))
    assert made.kinds() == [(H, A, 2)]
    assert made.sent[0][2].cies[0].code == 12
