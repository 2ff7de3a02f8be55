"""What a hello says to one router (RFC 7868 sections 5.3.2 and 6.7)."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.eigrp.constants import GOODBYE_K, K_VALUES, WIDE_SOFTWARE
from dmvpn_lab.eigrp.packet import Packet
from dmvpn_lab.eigrp.tlv import MulticastSequence, Parameters, Sequence, StubInfo, Termination, Version


@dataclass(frozen=True, slots=True)
class Hello:
    """A hello, read by the router with address `to`."""

    hold_s: int
    goodbye: bool
    """The sender leaves, or has ended the adjacency with us."""
    same_k: bool
    """Its metric is ours."""
    wide: bool
    """It reads wide metrics."""
    stub: int | None
    sequence: Sequence | None
    following: int
    """Sequence number of the next conditional packet; 0: any."""


def read(packet: Packet, to: IPv4Address) -> Hello | None:
    """From a packet; None for one without parameters."""
    first = {type(tlv): tlv for tlv in reversed(packet.tlvs)}
    parameters = first.get(Parameters)
    if not isinstance(parameters, Parameters):
        return None
    version = first.get(Version)
    stub, sequence, following = first.get(StubInfo), first.get(Sequence), first.get(MulticastSequence)
    ended = any(isinstance(tlv, Termination) and to in tlv.addresses for tlv in packet.tlvs)
    return Hello(
        hold_s=parameters.hold_s,
        goodbye=parameters.k[:5] == GOODBYE_K or ended,
        same_k=parameters.k == K_VALUES,
        wide=isinstance(version, Version) and version.numbers[2] >= WIDE_SOFTWARE[2],
        stub=stub.stub if isinstance(stub, StubInfo) else None,
        sequence=sequence if isinstance(sequence, Sequence) else None,
        following=following.sequence if isinstance(following, MulticastSequence) else 0,
    )
