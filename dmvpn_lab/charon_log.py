"""What charon's log says about a negotiation that failed, in words that help.

The phrases are those of strongSwan 6.0 (libcharon and libstrongswan); the log's line is the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a negotiation failed."""

    meaning: str
    line: str
    """Of the log."""


MEANINGS: tuple[tuple[str, str], ...] = (
    (
        "a certificate is not valid now: it has expired, or a clock is wrong",
        r"certificate invalid \(valid from",
    ),
    ("the pre-shared keys differ", r"MAC mismatched|invalid HASH_V1 payload length, decryption failed"),
    ("there is no pre-shared key for this peer", r"no shared key found"),
    (
        "a certificate is of a CA that is not trusted",
        r"no issuer certificate found|no trusted \S+ public key found",
    ),
    (
        "the router has no certificate, or no key, for its identity",
        r"no private key found|no trusted certificate found",
    ),
    (
        "the peer's identity is not the one expected",
        r"constraint check failed|no matching peer config found",
    ),
    (
        "the transform sets differ",
        r"no acceptable proposal found|received proposals unacceptable|NO_PROPOSAL_CHOSEN",
    ),
    ("the peer refused our credentials: its log says why", r"AUTHENTICATION_FAILED"),
    ("the peer does not answer IKE", r"giving up after \d+ retransmits|peer not responding"),
)
"""Meaning and phrases, the most telling first: the first that is found is the reason."""


def reason(*logs: Iterable[str]) -> Reason | None:
    """The reason that the ends' logs give; of equal ones the newest."""
    lines = [line.strip() for log in logs for line in log]
    for meaning, phrases in MEANINGS:
        for line in reversed(lines):
            if re.search(phrases, line):
                return Reason(meaning, line)
    return None
