"""What charon's log says about a negotiation that failed, in words that help.

The phrases are those of strongSwan 6.0 (libcharon and libstrongswan); the log's line is the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a negotiation failed."""

    meaning: str
    line: str
    """Of the log."""


ONE_FAILURE_S = 25.0
"""Words so far apart are of different failures: negotiations that say nothing are tried again after 20."""
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
"""Meaning and phrases, the most telling first: of several words about one failure the first is the reason."""


def reason(*logs: Iterable[str]) -> Reason | None:
    """The reason that the ends' logs give for what failed last; of equal ones the newest."""
    told = [(meaning, line.strip()) for log in logs for line in log if (meaning := meaning_of(line))]
    if not told:
        return None
    newest = max(_at(line) for _, line in told)
    recent = [each for each in told if (newest - _at(each[1])).total_seconds() <= ONE_FAILURE_S]
    rank = {meaning: place for place, (meaning, _) in enumerate(MEANINGS)}
    best = min(rank[meaning] for meaning, _ in recent)
    return Reason(*next(each for each in reversed(recent) if rank[each[0]] == best))


def meaning_of(line: str) -> str | None:
    """What a line says of a failure, if it does."""
    return next((meaning for meaning, phrases in MEANINGS if re.search(phrases, line)), None)


def _at(line: str) -> datetime:
    """When a line was written; long ago for one that does not say."""
    try:
        return datetime.fromisoformat(line[:19])
    except ValueError:
        return datetime.min
