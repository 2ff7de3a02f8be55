"""The generator's packets: what the hub's kernel and agent are given."""

from __future__ import annotations

import socket

from dmvpn_lab.nhrp.buffer import checksum
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import decode
from tests.bench import registration
from tests.bench.generator import GRE, is_nhrp, outer

SPOKES = range(4001)


def test_every_spoke_has_addresses_of_its_own_inside_the_hubs_subnet() -> None:
    protocols = {registration.protocol(spoke) for spoke in SPOKES}
    assert len(protocols) == len({registration.nbma(spoke) for spoke in SPOKES}) == len(SPOKES)
    assert all(each in registration.HUB.network for each in protocols)
    assert registration.HUB.ip not in protocols


def test_a_request_leaves_in_gre_with_the_key_from_the_spokes_own_address() -> None:
    source = registration.nbma(7)
    packet = outer(source, registration.request(7, 3))
    assert checksum(packet[:20]) == 0
    assert (packet[9], packet[12:16], packet[20:28]) == (socket.IPPROTO_GRE, source.packed, GRE)
    assert int.from_bytes(packet[2:4], "big") == len(packet)
    request = decode(packet[28:])
    assert (request.request_id, request.source_protocol) == (3, registration.protocol(7))


def test_only_nhrp_of_the_wanted_type_is_taken_for_an_answer() -> None:
    packet = outer(registration.nbma(7), registration.request(7, 3))
    assert is_nhrp(packet, PacketType.REGISTRATION_REQUEST)
    assert not is_nhrp(packet, PacketType.REGISTRATION_REPLY)
    assert not is_nhrp(packet.replace(GRE, bytes(8)), PacketType.REGISTRATION_REQUEST)
