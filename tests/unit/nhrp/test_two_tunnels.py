"""Two tunnels of one hub: with equal network-ids and keys spokes of one meet spokes of the other."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest

from dmvpn_lab.nhrp.actions import InstallNeighbour, RemoveShortcut
from dmvpn_lab.nhrp.constants import CieCode, PacketType
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import agent, hub_config, spoke_config
from tests.unit.nhrp.cloud import FAR, Cloud, about, route
from tests.unit.nhrp.deck import HUB, HUB_NBMA, SPOKE, SPOKE_NBMA, TUNNEL

SECOND = "tunnel1"
SECOND_HUB, SECOND_NBMA = IPv4Address("10.1.0.1"), IPv4Address("172.18.0.1")
OTHER, OTHER_NBMA = IPv4Address("10.1.0.12"), IPv4Address("172.16.2.1")
H1, H2, A, B = str(HUB_NBMA), str(SECOND_NBMA), str(SPOKE_NBMA), str(OTHER_NBMA)
EQUAL: dict[str, Any] = {"network_id": 7, "key": 1}
APART = [
    pytest.param({"key": 2}, id="another key"),
    pytest.param({"key": None}, id="no key"),
    pytest.param({"protected": True}, id="protected"),
]


def joined(**second: Any) -> Cloud:
    """Spoke A on the hub's first tunnel, spoke B on its second, all registered."""
    made, changes = Cloud(links={SECOND_NBMA: SECOND}), EQUAL | {"authentication": "blue"} | second
    one = hub_config(redirect=True, authentication="red", **EQUAL)
    two = hub_config(redirect=True, name=SECOND, source="eth2",
                     address=IPv4Interface("10.1.0.1/24"), **changes)  # fmt: skip
    made.agents[HUB_NBMA] = made.agents[SECOND_NBMA] = agent(one, two)
    near = spoke_config(resolve=True, shortcut=True, authentication="red", **EQUAL)
    far = spoke_config(resolve=True, shortcut=True, nhs=(SECOND_HUB,),
                       address=IPv4Interface(f"{OTHER}/24"), static_maps=((SECOND_HUB, SECOND_NBMA),),
                       map_multicast=(SECOND_NBMA,), **(changes | {"protected": False}))  # fmt: skip
    made.agents[SPOKE_NBMA], made.agents[OTHER_NBMA] = agent(near, seed=5), agent(far, seed=6)
    made.routes[HUB_NBMA] = made.routes[SECOND_NBMA] = {
        "a": route("192.168.1.0/24", TUNNEL, SPOKE), "b": route("192.168.2.0/24", SECOND, OTHER),
        "two": route("10.1.0.0/24", SECOND),
    }  # fmt: skip
    made.routes[SPOKE_NBMA] = {
        "lan": route("192.168.1.0/24", "eth2"), "b": route("192.168.0.0/16", TUNNEL, HUB),
        "two": route("10.1.0.0/24", TUNNEL, HUB),
    }  # fmt: skip
    made.routes[OTHER_NBMA] = {"lan": route("192.168.2.0/24", "eth2")}
    for nbma in made.agents:
        link = made.links.get(nbma, TUNNEL)
        made.carry_out(nbma, made.agents[nbma].source_changed(link, nbma, 0.0))
    made.forget()
    return made


def forward(made: Cloud, data: bytes | None = None) -> None:
    """The hub's kernel forwarded a packet of spoke A into its second tunnel."""
    done = made.agents[HUB_NBMA].forwarded(TUNNEL, SECOND, SPOKE_NBMA, data or about(), made.now)
    made.carry_out(HUB_NBMA, done)


def ask(made: Cloud, wanted: IPv4Address) -> Packet:
    """Spoke A asks for an address, whatever it was told; the answer that it gets."""
    packet = replace(question(), request_id=99, destination_protocol=wanted)
    hub = made.agents[HUB_NBMA]
    made.carry_out(HUB_NBMA, hub.receive(TUNNEL, encode(packet), SPOKE_NBMA, made.now))
    return made.sent[-1][2]


def question() -> Packet:
    """What spoke A asks where there is a shortcut to make."""
    made = joined()
    forward(made)
    return made.sent[1][2]


def test_a_packet_from_one_tunnel_to_another_of_equal_id_and_key_makes_a_shortcut() -> None:
    made = joined()
    forward(made)
    assert made.kinds() == [(H1, A, 8), (A, H1, 1), (H2, B, 1), (B, H2, 2), (H1, A, 2)]
    assert made.shortcuts() == [("192.168.2.0/24", str(OTHER))]
    assert InstallNeighbour(TUNNEL, OTHER, OTHER_NBMA, on_demand=True) in made.done[SPOKE_NBMA]


def test_what_passes_from_tunnel_to_tunnel_has_the_secret_of_the_next_and_both_records() -> None:
    made = joined()
    forward(made)
    secrets = [extension.value[4:] for _, _, packet in made.sent if (extension := packet.extension(7))]
    assert secrets == [b"red", b"red", b"blue", b"blue", b"red"]
    records = [cie.protocol for kind in (4, 5) if (record := made.sent[-1][2].extension(kind))
               for cie in record.cies()]  # fmt: skip
    assert records == [SECOND_HUB, HUB]
    kinds = [each.type for each in made.sent[1][2].extensions or ()]
    assert [each.type for each in made.sent[2][2].extensions or ()] == kinds


def test_a_tunnel_without_a_secret_gets_none_and_one_with_a_secret_gets_its_own() -> None:
    made = joined(authentication=None)
    forward(made)
    values = [extension and extension.value[4:] for _, _, p in made.sent for extension in [p.extension(7)]]
    assert values == [b"red", b"red", None, None, b"red"]
    assert made.shortcuts() == [("192.168.2.0/24", str(OTHER))]


@pytest.mark.parametrize("second", [*APART, pytest.param({"network_id": 8}, id="another network-id")])
def test_nobody_is_told_of_a_way_that_could_not_work(second: dict[str, Any]) -> None:
    made = joined(**second)
    forward(made)
    assert made.sent == []


@pytest.mark.parametrize("second", APART)
@pytest.mark.parametrize("wanted", [FAR, OTHER], ids=["a host", "a tunnel address"])
def test_the_answer_about_a_tunnel_that_takes_no_packets_of_the_asker_is_the_hub_itself(
    second: dict[str, Any], wanted: IPv4Address
) -> None:
    made = joined(**second)
    answer = ask(made, wanted)
    assert made.kinds() == [(H1, A, 2)]
    (entry,) = answer.cies
    assert (entry.code, entry.protocol, entry.nbma) == (CieCode.SUCCESS, HUB, HUB_NBMA)


@pytest.mark.parametrize("wanted", [FAR, OTHER], ids=["a host", "a tunnel address"])
def test_of_another_domain_the_hub_says_nothing(wanted: IPv4Address) -> None:
    made = joined(network_id=8)
    answer = ask(made, wanted)
    assert made.kinds() == [(H1, A, 2)]
    assert (answer.cies[0].code, answer.cies[0].nbma) == (CieCode.NO_BINDING, None)


def test_the_tunnel_address_of_a_spoke_of_the_other_tunnel_is_answered_from_the_cache() -> None:
    made = joined()
    (entry,) = ask(made, OTHER).cies
    assert (entry.code, entry.protocol, entry.nbma) == (CieCode.SUCCESS, OTHER, OTHER_NBMA)


def test_a_packet_for_the_tunnel_address_itself_makes_a_shortcut_to_it() -> None:
    made = joined()
    forward(made, about(destination=OTHER))
    assert made.shortcuts() == [(f"{OTHER}/32", str(OTHER))]


def test_a_spoke_that_moves_is_purged_on_the_other_tunnel_and_resolved_anew() -> None:
    made = joined()
    forward(made)
    made.forget()
    new = IPv4Address("172.16.2.9")
    made.agents[new], made.routes[new] = made.agents.pop(OTHER_NBMA), made.routes[OTHER_NBMA]
    made.carry_out(new, made.agents[new].source_changed(TUNNEL, new, 2.0))
    assert (H1, A, PacketType.PURGE_REQUEST) in made.kinds()
    assert (A, H1, PacketType.PURGE_REPLY) in made.kinds()
    assert RemoveShortcut(TUNNEL, IPv4Network("192.168.2.0/24")) in made.done[SPOKE_NBMA]
    made.now = 20.0
    forward(made)
    assert InstallNeighbour(TUNNEL, OTHER, new, on_demand=True) in made.done[SPOKE_NBMA]


def test_a_shortcut_to_the_other_tunnel_is_renewed_while_it_is_used() -> None:
    made = joined()
    forward(made)
    made.forget()
    spoke = made.agents[SPOKE_NBMA]
    made.now = 230.0
    spoke.probed(TUNNEL, OTHER, made.now)
    made.carry_out(OTHER_NBMA, made.agents[OTHER_NBMA].tick(made.now))
    made.carry_out(SPOKE_NBMA, spoke.tick(245.0))
    made.now = 310.0
    made.carry_out(SPOKE_NBMA, spoke.tick(made.now))
    assert "resolution-ended" not in made.events(SPOKE_NBMA)
    assert [str(each.prefix) for each in spoke.shortcuts(TUNNEL)] == ["192.168.2.0/24"]


@pytest.mark.parametrize(
    "via",
    ["224.0.0.5", "0.0.0.0", "127.0.0.1", "255.255.255.255", "10.0.0.0", "10.0.0.255", str(SPOKE), str(HUB)],
)
def test_an_answer_that_names_no_other_router_makes_no_shortcut(via: str) -> None:
    made = joined()
    forward(made)
    answer = made.sent[-1][2]
    made = joined()
    del made.agents[OTHER_NBMA]  # nobody answers but this test
    forward(made)
    asked = made.sent[1][2]
    entry = replace(answer.cies[0], protocol=IPv4Address(via))
    forged = replace(answer, request_id=asked.request_id, cies=(entry,))
    spoke = made.agents[SPOKE_NBMA]
    made.carry_out(SPOKE_NBMA, spoke.receive(TUNNEL, encode(forged), HUB_NBMA, made.now))
    assert made.shortcuts() == []
    assert "resolution-refused" in made.events(SPOKE_NBMA)
