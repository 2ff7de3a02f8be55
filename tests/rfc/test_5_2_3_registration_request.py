"""RFC 2332, section 5.2.3: the registration request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet, encode
from tests.unit.nhrp.builders import agent, deliver, hub, request, spoke_config
from tests.unit.nhrp.deck import HUB, HUB_NBMA, OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, reply


def first(**changes: object) -> tuple[Agent, Packet]:
    """A spoke and its first request."""
    spoke = agent(spoke_config(**changes))
    return spoke, reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0))


def code(packet: Packet, of: Agent | None = None, nbma: object = SPOKE_NBMA) -> int:
    """What the hub answers."""
    return reply(deliver(of or hub(), packet, nbma)).cies[0].code  # type: ignore[arg-type]


def test_the_type_is_three_and_the_code_of_the_entry_zero() -> None:
    _, packet = first()
    assert packet.type == 3
    assert [entry.code for entry in packet.cies] == [0]


def test_with_the_u_bit_there_is_one_entry_with_prefix_length_255() -> None:
    _, packet = first(unique=True)
    assert packet.flags & 0x8000
    assert [entry.prefix_length for entry in packet.cies] == [0xFF]


def test_the_u_bit_is_stored() -> None:
    made = hub()
    deliver(made, request(unique=True))
    assert "unique" in made.nhrp(1.0)[0]["flags"]


def test_a_unique_binding_makes_code_14_for_every_other_address() -> None:
    made = hub()
    assert code(request(unique=True), made) == 0
    assert code(request(nbma=OTHER_NBMA, unique=True), made, OTHER_NBMA) == 14


def test_the_registrant_itself_may_register_again() -> None:
    """Section 5.2.3 taken by its letters would keep a unique client from renewing."""
    made = hub()
    assert code(request(unique=True), made) == 0
    assert code(request(unique=True, request_id=6), made) == 0


def test_two_entries_with_the_u_bit_are_refused() -> None:
    entries = (Cie(holding_time_s=300), Cie(holding_time_s=300, protocol=OTHER))
    made = hub()
    assert code(request(unique=True, cies=entries), made) == 4
    assert bindings(made) == {}


def test_a_client_that_registers_itself_leaves_the_addresses_of_the_entry_out() -> None:
    _, packet = first()
    assert (packet.cies[0].nbma, packet.cies[0].protocol) == (None, None)


def test_the_destination_is_the_servers_address() -> None:
    _, packet = first()
    assert packet.destination_protocol == HUB


def test_the_destination_may_be_the_clients_own_address() -> None:
    assert code(request(destination_protocol=SPOKE)) == 0


def test_a_client_that_asks_for_another_server_is_told_that_this_one_cannot_serve_it() -> None:
    assert code(request(destination_protocol=OTHER)) == 4


def test_a_station_of_another_subnet_is_told_that_this_server_cannot_serve_it() -> None:
    assert code(request(protocol=HUB_NBMA, destination_protocol=HUB)) == 4


@pytest.mark.parametrize("holding_time_s", [3, 60, 300, 7200, 65535])
def test_a_registration_is_renewed_at_a_third_of_its_holding_time(holding_time_s: int) -> None:
    spoke, packet = first(holding_time_s=holding_time_s)
    assert packet.cies[0].holding_time_s == holding_time_s
    answer = replace(packet, type=PacketType.REGISTRATION_REPLY)
    spoke.receive(TUNNEL, encode(answer), HUB_NBMA, 0.0)
    assert spoke.deadline() == pytest.approx(holding_time_s / 3)


def test_lost_packets_do_not_end_a_registration_because_it_is_sent_again_in_time() -> None:
    spoke, packet = first(holding_time_s=300)
    answer = replace(packet, type=PacketType.REGISTRATION_REPLY)
    spoke.receive(TUNNEL, encode(answer), HUB_NBMA, 0.0)
    sends = 0
    while (spoke.deadline() or 0.0) < 300:
        sends += len([a for a in spoke.tick(spoke.deadline() or 0.0) if type(a).__name__ == "SendPacket"])
    assert sends >= 7
