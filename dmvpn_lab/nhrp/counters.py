"""Names of the counters that an agent keeps for each tunnel."""

from __future__ import annotations

from collections import Counter

from dmvpn_lab.nhrp.constants import ErrorCode, PacketType

MALFORMED = "malformed"
BAD_CHECKSUM = "bad-checksum"
BAD_AUTHENTICATION = "bad-authentication"
UNKNOWN_TYPE = "unknown-type"
UNKNOWN_COMPULSORY_EXTENSION = "unknown-compulsory-extension"
UNKNOWN_REPLY = "unknown-reply"
HOP_COUNT_EXCEEDED = "hop-count-exceeded"
NBMA_MISMATCH = "nbma-mismatch"
"""A registration whose NBMA address is not the outer source: a NAT is between."""
LATE_REQUEST = "late-request"
"""A registration that a newer one overtook on its way."""
IDENTITY_MISMATCH = "identity-mismatch"
"""A registration of an address that is another IKE identity's."""
NO_IDENTITY = "no-identity"
"""Registrations that were dropped: no IKE identity was known for their source in time."""
INDICATION_IGNORED = "indication-ignored"
"""A traffic indication from somebody who is no server of ours, or about traffic that is not ours."""
LOOP_DETECTED = "loop-detected"
"""A packet to pass on that has been here before."""
UNKNOWN_STATION = "unknown-station"
"""A packet to pass on whose receiver, or sender, is not where the routing table says."""
FORWARDED = "forwarded"
"""Packets passed on as a transit NHS."""
DROPPED_BUSY = "dropped-busy"
"""Requests that were dropped because too many waited for the kernel; their senders send again."""
INDICATIONS_SKIPPED = "indications-skipped"
"""Traffic indications that were not sent because too many destinations are remembered."""
NEIGHBOUR_REFUSED = "neighbour-refused"
"""The kernel did not take a neighbour."""

ERROR_CODES = frozenset(ErrorCode)
TYPE_NAMES = {kind: kind.name.lower().replace("_", "-") for kind in PacketType}


def sent(kind: int) -> str:
    """Counter of packets sent of a type."""
    return f"sent-{TYPE_NAMES.get(kind, kind)}"  # type: ignore[call-overload]


def received(kind: int) -> str:
    """Counter of packets received of a type."""
    return f"received-{TYPE_NAMES.get(kind, kind)}"  # type: ignore[call-overload]


def refused(code: int) -> str:
    """Counter of registrations refused with a code."""
    return f"refused-code-{code}"


def error(code: int, *, direction: str) -> str:
    """Counter of error indications `sent` or `received`, by code.

    Codes that the RFC does not know share one: a sender must not be able to make 65536 counters.
    """
    return f"error-{direction}-code-{code if code in ERROR_CODES else 'unknown'}"


TunnelCounters = Counter[str]
