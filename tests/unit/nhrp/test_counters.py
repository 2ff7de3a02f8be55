"""Names of counters: readable, and not so many that a sender could fill the memory."""

from __future__ import annotations

from dmvpn_lab.nhrp import counters


def test_types_are_named_and_unknown_ones_numbered() -> None:
    assert counters.sent(3) == "sent-registration-request"
    assert counters.received(7) == "received-error-indication"
    assert counters.received(200) == "received-200"
    assert counters.refused(14) == "refused-code-14"


def test_error_codes_of_the_rfc_have_their_own_counters_and_all_others_share_one() -> None:
    names = {counters.error(code, direction="received") for code in range(65536)}
    known = {f"error-received-code-{code}" for code in (1, 3, 6, 7, 8, 9, 10, 11, 15)}
    assert names == known | {"error-received-code-unknown"}
