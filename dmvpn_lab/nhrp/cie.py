"""Client information entries (RFC 2332, section 5.2.0.1).

 0                   1                   2                   3
+---------------+---------------+-------------------------------+
|     code      | prefix length |            unused             |
+---------------+---------------+-------------------------------+
|    maximum transmission unit  |        holding time (s)       |
+---------------+---------------+---------------+---------------+
| NBMA addr T/L | NBMA sub T/L  | protocol len  |  preference   |
+---------------+---------------+---------------+---------------+
| NBMA address, NBMA subaddress, protocol address (variable)    |
+---------------------------------------------------------------+
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dmvpn_lab.nhrp.buffer import Address, Reader, to_octets
from dmvpn_lab.nhrp.constants import PREFIX_WHOLE, CieCode

LAYOUT = struct.Struct("!BBHHHBBBB")


@dataclass(frozen=True, slots=True)
class Cie:
    """One client's information."""

    code: int = CieCode.SUCCESS
    prefix_length: int = PREFIX_WHOLE
    """Bits; 0 and 255 both mean one address."""
    mtu: int = 0
    """Octets; 0 means the NBMA network's."""
    holding_time_s: int = 0
    nbma: Address = None
    """None: the source NBMA address of the header."""
    protocol: Address = None
    """None: the source protocol address of the header."""
    preference: int = 0
    nbma_subaddress: bytes = b""
    unused: int = 0


def decode_cie(reader: Reader) -> Cie:
    """The next entry. Raises DecodeError."""
    code, prefix, unused, mtu, holding, nbma, sub, protocol, preference = reader.unpack(LAYOUT)
    nbma_address = reader.address(nbma)
    subaddress = reader.octets(sub)
    return Cie(
        code=code,
        prefix_length=prefix,
        mtu=mtu,
        holding_time_s=holding,
        nbma=nbma_address,
        protocol=reader.address(protocol),
        preference=preference,
        nbma_subaddress=subaddress,
        unused=unused,
    )


def encode_cie(cie: Cie) -> bytes:
    """The entry as octets."""
    nbma, protocol = to_octets(cie.nbma), to_octets(cie.protocol)
    fixed = LAYOUT.pack(
        cie.code,
        cie.prefix_length,
        cie.unused,
        cie.mtu,
        cie.holding_time_s,
        len(nbma),
        len(cie.nbma_subaddress),
        len(protocol),
        cie.preference,
    )
    return fixed + nbma + cie.nbma_subaddress + protocol


def decode_cies(reader: Reader) -> tuple[Cie, ...]:
    """Entries up to the reader's end. Raises DecodeError."""
    entries = []
    while reader.left:
        entries.append(decode_cie(reader))
    return tuple(entries)
