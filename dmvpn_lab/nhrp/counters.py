"""Names of the counters that an agent keeps for each tunnel."""

from __future__ import annotations

from collections import Counter

from dmvpn_lab.nhrp.constants import PacketType

MALFORMED = "malformed"
BAD_CHECKSUM = "bad-checksum"
BAD_AUTHENTICATION = "bad-authentication"
UNKNOWN_TYPE = "unknown-type"
UNKNOWN_COMPULSORY_EXTENSION = "unknown-compulsory-extension"
UNKNOWN_REPLY = "unknown-reply"
HOP_COUNT_EXCEEDED = "hop-count-exceeded"
NBMA_MISMATCH = "nbma-mismatch"
"""A registration whose NBMA address is not the outer source: a NAT is between."""
NEIGHBOUR_REFUSED = "neighbour-refused"
"""The kernel did not take a neighbour."""

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
    """Counter of error indications `sent` or `received`, by code."""
    return f"error-{direction}-code-{code}"


TunnelCounters = Counter[str]
