"""A question for a NBMA address: what was asked, the request on the wire, and what answers it.

Also the trial of a direct way. GRE through a NAT router passes only once both ends have sent, so an
answer that has a NAT in it is not believed before the peer itself has answered, directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress, IpNetwork
from dmvpn_lab.errors import DecodeError
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.constants import ExtensionType, PacketType, ResolutionFlag
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import Packet
from dmvpn_lab.nhrp.tunnel import Tunnel


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply says."""

    entry: Cie
    nbma: IPv4Address
    """Where to send to: the address outside the NAT, if there is one."""
    natted: bool
    """The peer is behind a NAT."""


@dataclass(slots=True)
class Trial:
    """A direct way that is tried before it is used."""

    answer: Answer
    via: IpAddress
    """Tunnel address of the peer."""
    request_id: int


@dataclass(slots=True)
class Question:
    """What was asked of a server, or refused by it."""

    tunnel: Tunnel
    wanted: IpAddress
    server: IpAddress
    """Its protocol address."""
    nbma: IPv4Address
    """Its NBMA address."""
    request_id: int
    asked: float
    tries: int = 0
    refused: bool = False
    """It said No, or nothing."""
    parent: IpNetwork | None = None
    """The route to shorten, when something behind another spoke is wanted (phase 3)."""
    trial: Trial | None = None


def request(tunnel: Tunnel, wanted: IpAddress, request_id: int) -> Packet:
    """As IOS makes it: a router asks, for a stable answer; one entry with our own MTU and time."""
    config = tunnel.config
    extensions = [Extension(kind) for kind in (ExtensionType.RESPONDER_ADDRESS,
                  ExtensionType.FORWARD_TRANSIT_NHS, ExtensionType.REVERSE_TRANSIT_NHS)]  # fmt: skip
    if config.authentication:
        extensions.append(authentication(config.authentication))
    extensions.append(Extension(ExtensionType.NAT_ADDRESS, False, outside(tunnel)))
    flags = ResolutionFlag.ROUTER | ResolutionFlag.AUTHORITATIVE | ResolutionFlag.SOURCE_STABLE
    return Packet(
        PacketType.RESOLUTION_REQUEST,
        flags=int(flags),
        request_id=request_id,
        source_nbma=tunnel.nbma,
        source_protocol=config.address.ip,
        destination_protocol=wanted,
        cies=(Cie(prefix_length=config.bits, mtu=config.mtu, holding_time_s=config.holding_time_s),),
        extensions=tuple(extensions),
        protocol_type=config.protocol_type,
    )


def outside(tunnel: Tunnel) -> bytes:
    """The value of a NAT extension: our address outside the NAT, if we are behind one."""
    if tunnel.outside is None:
        return b""
    config = tunnel.config
    return encode_cie(Cie(prefix_length=config.bits, nbma=tunnel.outside, protocol=config.address.ip))


def nat_address(packet: Packet) -> IPv4Address | None:
    """The address outside the NAT that a reply's NAT extension names; not the asker's own, copied."""
    extension = packet.extension(ExtensionType.NAT_ADDRESS)
    try:
        entry = next(iter(extension.cies()), None) if extension is not None else None
    except DecodeError:
        return None
    if entry is None or entry.protocol == packet.source_protocol:
        return None
    return entry.nbma if isinstance(entry.nbma, IPv4Address) else None


def answer(packet: Packet) -> Answer | None:
    """What a reply says of where to send; None when it names nothing."""
    entry = next(iter(packet.cies), None)
    if entry is None or not isinstance(entry.nbma, IPv4Address):
        return None
    natted = nat_address(packet)
    return Answer(entry, natted or entry.nbma, natted is not None)


def answers(question: Question, packet: Packet, outer: IPv4Address) -> bool:
    """Whether a reply is to this question, from the server that was asked or the peer itself."""
    ours = packet.source_protocol == question.tunnel.config.address.ip
    entry = next(iter(packet.cies), None)
    known = outer in (question.nbma, entry and entry.nbma, nat_address(packet))
    waiting = not question.refused and question.trial is None
    return ours and known and waiting and packet.request_id == question.request_id
