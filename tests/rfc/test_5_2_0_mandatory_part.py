"""RFC 2332, section 5.2.0.1: the common header and the client information entries."""

from __future__ import annotations

import pytest

from dmvpn_lab.nhrp.buffer import Reader
from dmvpn_lab.nhrp.cie import Cie, decode_cies, encode_cie
from dmvpn_lab.nhrp.packet import decode, encode
from tests.unit.nhrp.builders import agent, deliver, hub, request, spoke_config
from tests.unit.nhrp.deck import OTHER, OTHER_NBMA, SPOKE, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import bindings, reply


def test_the_request_id_is_copied_into_the_reply() -> None:
    assert reply(deliver(hub(), request(request_id=0xDEADBEEF))).request_id == 0xDEADBEEF


def test_the_request_id_grows_with_each_new_request_and_stays_when_one_is_sent_again() -> None:
    spoke = agent(spoke_config())
    first = reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    again = reply(spoke.tick(2.0))
    other = reply(spoke.source_changed(TUNNEL, OTHER_NBMA, 3.0))
    assert again.request_id == first.request_id
    assert other.request_id == first.request_id + 1


def test_the_request_id_is_a_counter_of_32_bits() -> None:
    spoke = agent(spoke_config())
    spoke._ids.last = 0xFFFFFFFF
    assert reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0)).request_id == 0


def test_an_address_of_length_zero_takes_no_room() -> None:
    data = encode(request(source_nbma=None, source_protocol=None, destination_protocol=None, cies=()))
    assert (data[18], data[20], data[21]) == (0, 0, 0)
    assert int.from_bytes(data[14:16], "big") == 28


def test_an_entry_without_addresses_means_those_of_the_header() -> None:
    made = hub()
    deliver(made, request(cie=Cie(holding_time_s=300)))
    assert bindings(made) == {str(SPOKE): str(SPOKE_NBMA)}


def test_an_entry_with_an_address_means_that_one() -> None:
    made = hub()
    deliver(made, request(cie=Cie(holding_time_s=300, protocol=OTHER)))
    assert set(bindings(made)) == {str(OTHER)}


def test_an_entry_is_laid_out_as_drawn() -> None:
    entry = Cie(14, 24, 1400, 300, SPOKE_NBMA, SPOKE, 7)
    assert encode_cie(entry) == bytes.fromhex("0e18 0000 0578 012c 04 00 04 07 ac100101 0a00000b")
    assert decode_cies(Reader(encode_cie(entry), 0, 20)) == (entry,)


def test_unused_fields_are_zero_on_transmission_and_ignored_on_receipt() -> None:
    spoke = agent(spoke_config())
    sent = reply(spoke.source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    assert sent.cies[0].unused == 0
    made = hub()
    answer = reply(deliver(made, request(flags=0x3FFC, cie=Cie(holding_time_s=300, unused=0xFFFF))))
    assert answer.cies[0].code == 0


@pytest.mark.parametrize("prefix", [0x00, 0xFF])
def test_prefix_lengths_zero_and_255_both_mean_one_address(prefix: int) -> None:
    made = hub()
    assert reply(deliver(made, request(cie=Cie(prefix_length=prefix, holding_time_s=300)))).cies[0].code == 0
    assert len(bindings(made)) == 1


def test_what_is_cached_is_dropped_when_its_holding_time_is_over() -> None:
    made = hub()
    deliver(made, request(cie=Cie(holding_time_s=60)), now=0.0)
    made.tick(59.9)
    assert len(bindings(made, 59.9)) == 1
    made.tick(60.0)
    assert bindings(made, 60.0) == {}


def test_the_holding_time_of_a_refusal_is_zero() -> None:
    refused = reply(deliver(hub(), request(cie=Cie(prefix_length=8, holding_time_s=300))))
    assert (refused.cies[0].code, refused.cies[0].holding_time_s) == (4, 0)


def test_an_mtu_of_zero_is_allowed() -> None:
    assert reply(deliver(hub(), request(cie=Cie(mtu=0, holding_time_s=300)))).cies[0].code == 0


def test_source_information_of_other_packets_is_not_cached() -> None:
    made = hub()
    for kind in (1, 2, 4, 5, 6, 8):
        packet = request(type=kind, cies=()) if kind == 8 else request(type=kind)
        made.receive(TUNNEL, encode(packet), SPOKE_NBMA, 1.0)
    assert bindings(made) == {}


def test_reading_and_writing_keep_flags_that_are_specific_to_a_message() -> None:
    assert decode(encode(request(flags=0x5A5A))).flags == 0x5A5A
