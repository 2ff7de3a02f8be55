"""Certificates that are not valid now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dmvpn_lab import validity
from dmvpn_lab.render import pki

END = datetime(2030, 5, 1, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def pem() -> str:
    ca = pki.authority("ab" * 32, "a CA")
    return pki.pem(pki.certificate(ca, "cd" * 32, "spoke-a.lab.test", end=END).certificate)


@pytest.mark.parametrize("now", [END, pki.BEGIN, END - SECOND])
def test_a_certificate_is_valid_up_to_its_last_second(pem: str, now: datetime) -> None:
    assert validity.judged("spoke-a", pem, now) == ""


def test_one_that_has_expired_is_told_with_its_end(pem: str) -> None:
    told = validity.judged("spoke-a", pem, END + SECOND)
    assert told == "spoke-a's certificate expired at 2030-05-01 12:00:00 UTC"


def test_one_that_is_not_valid_yet_is_told_with_its_beginning(pem: str) -> None:
    told = validity.judged("spoke-a", pem, pki.BEGIN - SECOND)
    assert told == "spoke-a's certificate is valid from 2020-01-01 00:00:00 UTC only"


def test_what_is_no_certificate_is_told() -> None:
    assert "is no certificate" in validity.judged("hub", "nonsense", END)
