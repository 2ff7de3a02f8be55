"""What charon's log lines mean."""

from __future__ import annotations

import pytest

from dmvpn_lab.charon_log import reason


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("11[IKE] <anybody|1> tried 1 shared key for 'hub.lab.test' - 'spoke-a.lab.test', but MAC mismatched",
         "the pre-shared keys differ"),
        ("13[ENC] <any|2> invalid HASH_V1 payload length, decryption failed?", "the pre-shared keys differ"),
        ("09[CFG] subject certificate invalid (valid from Jan 01 00:00:00 2020 to Jan 01 00:00:00 2021)",
         "a certificate is not valid now: it has expired, or a clock is wrong"),
        ("07[IKE] received NO_PROPOSAL_CHOSEN notify error", "the transform sets differ"),
        ("05[IKE] <anybody|1> no acceptable proposal found", "the transform sets differ"),
        ("10[IKE] giving up after 10 retransmits", "the peer does not answer IKE"),
        ("12[IKE] received AUTHENTICATION_FAILED notify error",
         "the peer refused our credentials: its log says why"),
    ],
)  # fmt: skip
def test_a_line_is_told_in_words(line: str, meaning: str) -> None:
    found = reason(["00[DMN] Starting IKE charon daemon", line, "01[NET] sending packet"])
    assert found is not None
    assert (found.meaning, found.line) == (meaning, line)


def test_the_end_that_knows_why_is_believed_and_the_newest_line_shown() -> None:
    hub = ["1 tried 1 shared key for 'a' - 'b', but MAC mismatched", "2 but MAC mismatched"]
    found = reason(hub, ["3 received AUTHENTICATION_FAILED notify error"])
    assert found is not None
    assert found.line == "2 but MAC mismatched"


def test_an_earlier_failure_is_not_the_reason_of_the_last_one() -> None:
    hub = [
        "2026-11-24 23:10:00 09[IKE] but MAC mismatched",
        "2026-11-24 23:12:00 09[IKE] no acceptable proposal found",
    ]
    found = reason(hub, ["2026-11-24 23:12:01 07[IKE] received NO_PROPOSAL_CHOSEN notify error"])
    assert found is not None
    assert found.meaning == "the transform sets differ"


def test_a_log_without_trouble_gives_no_reason() -> None:
    assert reason(["IKE_SA established", "CHILD_SA established"]) is None
