"""Wire codes of NHRP (RFC 2332, section 5). Unknown codes are kept as plain integers."""

from __future__ import annotations

from enum import IntEnum, IntFlag

ETHERTYPE = 0x2001
"""GRE protocol type that carries NHRP."""
VERSION = 1
FIXED_HEADER_LENGTH = 20
AFN_IPV4 = 1
AFN_IPV6 = 2
PROTOCOL_IPV4 = 0x0800
PROTOCOL_IPV6 = 0x86DD
PREFIX_WHOLE = 255
"""Prefix length 0xFF: one address (section 5.2.0.1)."""
CISCO_AUTHENTICATION = b"\x00\x00\x00\x01"
"""Cisco's plaintext authentication: this word, then the secret of 1 to 8 octets."""


class PacketType(IntEnum):
    """ar$op.type. 8 is Cisco's, of phase 3."""

    RESOLUTION_REQUEST = 1
    RESOLUTION_REPLY = 2
    REGISTRATION_REQUEST = 3
    REGISTRATION_REPLY = 4
    PURGE_REQUEST = 5
    PURGE_REPLY = 6
    ERROR_INDICATION = 7
    TRAFFIC_INDICATION = 8


class ResolutionFlag(IntFlag):
    """Flags of types 1 and 2 (section 5.2.1)."""

    ROUTER = 0x8000
    AUTHORITATIVE = 0x4000
    DESTINATION_STABLE = 0x2000
    UNIQUE = 0x1000
    SOURCE_STABLE = 0x0800
    NAT = 0x0002


class RegistrationFlag(IntFlag):
    """Flags of types 3 and 4 (section 5.2.3)."""

    UNIQUE = 0x8000
    NAT = 0x0002


class PurgeFlag(IntFlag):
    """Flags of types 5 and 6 (section 5.2.5)."""

    NO_REPLY = 0x8000


class CieCode(IntEnum):
    """Code of a client information entry (sections 5.2.2, 5.2.4)."""

    SUCCESS = 0
    ADMINISTRATIVELY_PROHIBITED = 4
    INSUFFICIENT_RESOURCES = 5
    NO_BINDING = 12
    NOT_UNIQUE = 13
    ALREADY_REGISTERED = 14


class ErrorCode(IntEnum):
    """Code of an error indication (section 5.2.7)."""

    UNRECOGNIZED_EXTENSION = 1
    LOOP_DETECTED = 3
    PROTOCOL_ADDRESS_UNREACHABLE = 6
    PROTOCOL_ERROR = 7
    SDU_SIZE_EXCEEDED = 8
    INVALID_EXTENSION = 9
    INVALID_RESOLUTION_REPLY = 10
    AUTHENTICATION_FAILURE = 11
    HOP_COUNT_EXCEEDED = 15


class ExtensionType(IntEnum):
    """Type of an extension (section 5.3), without the compulsory bit."""

    END = 0
    RESPONDER_ADDRESS = 3
    FORWARD_TRANSIT_NHS = 4
    REVERSE_TRANSIT_NHS = 5
    AUTHENTICATION = 7
    VENDOR_PRIVATE = 8
    NAT_ADDRESS = 9


CODE_MEANINGS = {
    CieCode.SUCCESS: "success",
    CieCode.ADMINISTRATIVELY_PROHIBITED: "administratively prohibited",
    CieCode.INSUFFICIENT_RESOURCES: "insufficient resources",
    CieCode.NO_BINDING: "no binding exists",
    CieCode.NOT_UNIQUE: "binding exists but is not unique",
    CieCode.ALREADY_REGISTERED: "unique address already registered",
}
"""What a CIE code means, in the RFC's words."""


def meaning(code: int) -> str:
    """The RFC's words for a CIE code; the number for one that it does not know."""
    return CODE_MEANINGS.get(code, f"code {code}")  # type: ignore[call-overload, no-any-return]
