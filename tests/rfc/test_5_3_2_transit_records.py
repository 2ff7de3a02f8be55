"""RFC 2332, sections 5.3.2 and 5.3.3: the transit records, at the answering server."""

from __future__ import annotations

import pytest

from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.extensions import Extension
from tests.unit.nhrp.builders import agent, deliver, hub, request, spoke_config
from tests.unit.nhrp.deck import OTHER, OTHER_NBMA, SPOKE_NBMA, TUNNEL
from tests.unit.nhrp.seen import reply


@pytest.mark.parametrize("kind", [4, 5])
@pytest.mark.parametrize("passed", [b"", encode_cie(Cie(nbma=OTHER_NBMA, protocol=OTHER))])
def test_the_responder_does_not_update_a_record(kind: int, passed: bytes) -> None:
    record = Extension(kind, True, passed)
    assert reply(deliver(hub(), request(extensions=(record,)))).extension(kind) == record


def test_a_client_asks_for_both_records_with_empty_extensions() -> None:
    sent = reply(agent(spoke_config()).source_changed(TUNNEL, SPOKE_NBMA, 0.0))
    assert [sent.extension(kind) for kind in (4, 5)] == [Extension(4), Extension(5)]
