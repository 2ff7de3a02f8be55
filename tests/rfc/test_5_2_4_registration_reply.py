"""RFC 2332, section 5.2.4: the registration reply."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from dmvpn_lab.nhrp.actions import SendPacket
from dmvpn_lab.nhrp.constants import CieCode
from dmvpn_lab.nhrp.packet import decode, encode
from tests.unit.nhrp.builders import deliver, hub, request
from tests.unit.nhrp.deck import OTHER_NBMA, SPOKE, SPOKE_NBMA
from tests.unit.nhrp.seen import reply


def test_a_reply_is_the_request_with_type_four_code_and_filled_extensions() -> None:
    sent = request(request_id=99, flags=0x8002)
    answer = reply(deliver(hub(), sent))
    assert answer.type == 4
    same = ("flags", "request_id", "source_nbma", "source_protocol", "destination_protocol", "cies")
    assert [getattr(answer, field) for field in same] == [getattr(sent, field) for field in same]
    assert answer.extension(3) != sent.extension(3)


def test_without_extensions_request_and_reply_differ_in_type_and_checksum_only() -> None:
    asked = encode(request(extensions=None))
    (sent,) = [a.data for a in deliver(hub(), decode(asked)) if isinstance(a, SendPacket)]
    assert [at for at in range(len(asked)) if asked[at] != sent[at] and at not in (12, 13)] == [17]


def test_codes_have_the_numbers_of_the_rfc() -> None:
    wanted = {
        CieCode.SUCCESS: 0,
        CieCode.ADMINISTRATIVELY_PROHIBITED: 4,
        CieCode.INSUFFICIENT_RESOURCES: 5,
        CieCode.ALREADY_REGISTERED: 14,
    }
    assert all(code == number for code, number in wanted.items())


@pytest.mark.parametrize("code", [0, 4, 5, 14])
def test_each_code_is_sent_for_its_reason(code: int) -> None:
    made = hub()
    deliver(made, request(nbma=OTHER_NBMA, unique=code == 14), OTHER_NBMA)
    protocol = IPv4Address("10.1.1.1") if code == 4 else SPOKE
    done = deliver(made, request(protocol, request_id=900, unique=True), ok=code != 5)
    entry = reply(done).cies[0]
    assert entry.code == code
    assert entry.holding_time_s == (0 if code else 300)


def test_a_reply_goes_straight_to_the_client_and_not_by_the_routed_path() -> None:
    done = deliver(hub(), request())
    assert [a.nbma for a in done if isinstance(a, SendPacket)] == [SPOKE_NBMA]
