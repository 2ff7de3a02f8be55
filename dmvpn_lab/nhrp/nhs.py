"""The next hop server: judges registration requests and makes the replies (section 5.2.4).

Pure decisions; `agent.py` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress, IpNetwork, network_of
from dmvpn_lab.nhrp.cache import Binding, Cache
from dmvpn_lab.nhrp.cie import Cie, encode_cie
from dmvpn_lab.nhrp.config import TunnelConfig
from dmvpn_lab.nhrp.constants import (
    CieCode,
    ExtensionType,
    PacketType,
    RegistrationFlag,
    ResolutionFlag,
)
from dmvpn_lab.nhrp.extensions import Extension, authentication
from dmvpn_lab.nhrp.packet import HOP_COUNT, Packet

_UNIQUE = int(RegistrationFlag.UNIQUE)  # a plain number: flags of an enum are slow to mask

LATE_S = 5.0
LATE_IDS = 64
"""A request so many IDs behind the last one, in so many seconds, was overtaken on its way."""


@dataclass(slots=True)
class Verdict:
    """What to do about one registration request."""

    protocol: IpAddress
    nbma: IPv4Address
    holding_time_s: int
    unique: bool
    code: int
    identity: str | None = None
    """The IKE identity of the registrant, where the tunnel asks for it."""


def judge(
    request: Packet, outer: IPv4Address, tunnel: TunnelConfig, cache: Cache, identity: str | None = None
) -> Verdict | None:
    """The verdict on a registration request; None when it is not one that can be answered.

    The binding is to the outer source address: that is where answers reach the client, also
    through a NAT.
    """
    cie = request.cies[0] if request.cies else None
    protocol = (cie.protocol if cie else None) or request.source_protocol
    if cie is None or not tunnel.speaks(protocol):
        return None
    unique = bool(request.flags & _UNIQUE)
    code = _code(request, cie, protocol, outer, tunnel, cache)
    if not owns(identity, protocol, tunnel):
        code = CieCode.ADMINISTRATIVELY_PROHIBITED
    return Verdict(protocol, outer, cie.holding_time_s, unique, code, identity)


def owns(identity: str | None, protocol: IpAddress, tunnel: TunnelConfig) -> bool:
    """Whether an authenticated identity may register an address; anybody may where nobody asks."""
    return tunnel.owners is None or (identity is not None and tunnel.owners.get(protocol) == identity)


def _code(
    request: Packet,
    cie: Cie,
    protocol: IpAddress,
    outer: IPv4Address,
    tunnel: TunnelConfig,
    cache: Cache,
) -> int:
    # One client, one address: others would let a client claim its neighbours' addresses.
    whole = len(request.cies) == 1 and tunnel.whole(cie.prefix_length)
    # Section 5.2.3: the destination is the server, or the client itself when it knows no server.
    destination = request.destination_protocol
    ours = destination == request.source_protocol or destination == tunnel.address.ip
    if not whole or not ours or not _may_register(protocol, tunnel):
        return CieCode.ADMINISTRATIVELY_PROHIBITED
    if not cie.holding_time_s:
        return CieCode.ADMINISTRATIVELY_PROHIBITED
    existing = cache.get(protocol)
    if existing is None:
        room = cache.room_for(tunnel.name, outer)
        return CieCode.SUCCESS if room else CieCode.INSUFFICIENT_RESOURCES
    if existing.static:
        return CieCode.ADMINISTRATIVELY_PROHIBITED
    if existing.unique and existing.nbma != outer:
        # Also for a request without the bit: else any client could take a unique address away.
        return CieCode.ALREADY_REGISTERED
    return CieCode.SUCCESS


def _may_register(protocol: IpAddress, tunnel: TunnelConfig) -> bool:
    first, last, own = registrable(tunnel)
    return first <= int(protocol) <= last and int(protocol) != own


def registrable(tunnel: TunnelConfig) -> tuple[int, int, int | None]:
    """The first and the last protocol address that may be registered, and one between that may not."""
    network = tunnel.address.network
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.prefixlen >= tunnel.bits - 1:
        return first, last, None
    return first + 1, last - 1, int(tunnel.address)


def is_late(request: Packet, outer: IPv4Address, existing: Binding | None, now: float) -> bool:
    """Whether a registration request comes from an address that its client has left since.

    IDs of a client only grow (section 5.2.0.1), so a request that is a little behind the last
    one was delayed. A client that begins anew with low IDs takes longer than LATE_S to come back.
    """
    if existing is None or existing.expires is None or existing.nbma == outer:
        return False
    behind = (existing.request_id - request.request_id) & 0xFFFFFFFF
    registered = existing.expires - (existing.holding_time_s or 0)
    return 0 < behind <= LATE_IDS and now - registered < LATE_S


def is_purged(binding: Binding, request: Packet, outer: IPv4Address, tunnel: TunnelConfig) -> bool:
    """Whether a purge request ends that binding: the registrant's own, or one that our server told.

    A static one ends with the configuration only.
    """
    if binding.static or not purges(request, binding.protocol, tunnel):
        return False
    if binding.resolved and tunnel.is_server(outer) and may_end(request, binding.protocol, tunnel):
        return True
    return binding.nbma == outer


def may_end(request: Packet, station: IpAddress, tunnel: TunnelConfig) -> bool:
    """Whether the words of a purge that a server of ours sent, or passed on, end what leads to a station.

    The server's own do, and the station's.
    """
    return request.source_protocol in tunnel.nhs or request.source_protocol == station


def purges_of(request: Packet, prefix: IpNetwork, tunnel: TunnelConfig) -> bool:
    """Whether a purge request names any of a prefix."""
    bits = tunnel.bits
    for cie in request.cies:
        named = cie.protocol or request.source_protocol
        length = bits if tunnel.whole(cie.prefix_length) else min(cie.prefix_length, bits)
        if tunnel.speaks(named) and network_of(named, length).overlaps(prefix):
            return True
    return False


def purges(request: Packet, protocol: IpAddress, tunnel: TunnelConfig) -> bool:
    """Whether a purge request names that address, or a prefix around it (section 5.2.5)."""
    for cie in request.cies:
        named = cie.protocol or request.source_protocol
        if not tunnel.speaks(named) or not tunnel.speaks(protocol):
            continue
        bits = tunnel.bits
        ignored = 0 if tunnel.whole(cie.prefix_length) else bits - min(cie.prefix_length, bits)
        if int(named) >> ignored == int(protocol) >> ignored:
            return True
    return False


def purge_reply(request: Packet, tunnel: TunnelConfig, nbma: IPv4Address | None) -> Packet:
    """The answer to a purge request (section 5.2.6)."""
    extensions = _answer_extensions(request, tunnel, nbma)
    return replace(request, type=PacketType.PURGE_REPLY, hop_count=HOP_COUNT, extensions=extensions)


def registration_reply(
    request: Packet, code: int, tunnel: TunnelConfig, nbma: IPv4Address | None, outer: IPv4Address
) -> Packet:
    """The answer to a registration request. A refusal carries holding time 0."""
    seen = None  # what the client is to the world, when a NAT is between
    if request.source_nbma != outer:
        seen = encode_cie(Cie(prefix_length=tunnel.bits, nbma=outer, protocol=request.source_protocol))
    cie = request.cies[0]
    holding_time_s = cie.holding_time_s if code == CieCode.SUCCESS else 0
    if (cie.code, cie.holding_time_s) != (code, holding_time_s):
        cie = replace(cie, code=code, holding_time_s=holding_time_s)
    # Field by field: `replace` takes three times as long, and a hub answers thousands.
    return Packet(
        type=PacketType.REGISTRATION_REPLY,
        flags=request.flags,
        request_id=request.request_id,
        source_nbma=request.source_nbma,
        source_protocol=request.source_protocol,
        destination_protocol=request.destination_protocol,
        cies=(cie,),
        extensions=_answer_extensions(request, tunnel, nbma, seen),
        payload=request.payload,
        hop_count=HOP_COUNT,
        afn=request.afn,
        protocol_type=request.protocol_type,
        snap=request.snap,
        nbma_subaddress=request.nbma_subaddress,
    )


def resolution_reply(request: Packet, binding: Binding | None, tunnel: TunnelConfig, nbma: IPv4Address | None,
                     now: float) -> Packet:  # fmt: skip
    """An authoritative answer from the cache, or code 12 or 13 (sections 5.2.1 and 5.2.2)."""
    flags = request.flags | ResolutionFlag.AUTHORITATIVE
    if binding is None:
        cie = Cie(code=CieCode.NO_BINDING, prefix_length=0)
    elif request.flags & ResolutionFlag.UNIQUE and not binding.unique:
        cie = Cie(code=CieCode.NOT_UNIQUE, prefix_length=0)
    else:
        left = tunnel.holding_time_s if binding.expires is None else int(binding.expires - now)
        cie = Cie(
            prefix_length=tunnel.bits,
            mtu=tunnel.mtu,
            holding_time_s=max(1, left),
            nbma=binding.nbma,
            protocol=binding.protocol,
        )
        flags |= ResolutionFlag.UNIQUE if binding.unique else 0
    natted = binding.nbma if binding is not None and binding.natted else None
    return _resolution(request, int(flags), cie, natted, tunnel, nbma)


def prefix_reply(request: Packet, ours: IpAddress | None, length: int, tunnel: TunnelConfig,
                 nbma: IPv4Address | None, outside: IPv4Address | None) -> Packet:  # fmt: skip
    """The answer to a question for what is behind a router: behind `ours`, or code 12."""
    cie = Cie(code=CieCode.NO_BINDING, prefix_length=0)
    if ours is not None:
        cie = Cie(prefix_length=length, mtu=tunnel.mtu, holding_time_s=tunnel.holding_time_s,
                  nbma=nbma, protocol=ours)  # fmt: skip
    flags = int(request.flags | ResolutionFlag.AUTHORITATIVE)
    return _resolution(request, flags, cie, None if ours is None else outside, tunnel, nbma)


def _resolution(request: Packet, flags: int, cie: Cie, outside: IPv4Address | None, tunnel: TunnelConfig,
                nbma: IPv4Address | None) -> Packet:  # fmt: skip
    """A resolution reply; its NAT extension names the address outside the NAT of whom it is about."""
    extensions = _answer_extensions(request, tunnel, nbma)
    seen = b""
    if outside is not None:
        seen = encode_cie(Cie(prefix_length=tunnel.bits, nbma=outside, protocol=cie.protocol))
        if request.extension(ExtensionType.NAT_ADDRESS) is None:
            extensions = (*(extensions or ()), Extension(ExtensionType.NAT_ADDRESS, False))
    if extensions is not None:  # the asker's own has told us what it should
        nat = ExtensionType.NAT_ADDRESS
        extensions = tuple(replace(e, value=seen) if e.type == nat else e for e in extensions)
    return replace(request, type=PacketType.RESOLUTION_REPLY, hop_count=HOP_COUNT, flags=flags,
                   cies=(cie,), extensions=extensions)  # fmt: skip


def _answer_extensions(
    request: Packet, tunnel: TunnelConfig, nbma: IPv4Address | None, seen: bytes | None = None
) -> tuple[Extension, ...] | None:
    """The request's extensions in their order, with our answers in them (section 5.3)."""
    if request.extensions is None:
        return (authentication(tunnel.authentication),) if tunnel.authentication else None
    answered = []
    for extension in request.extensions:
        if extension.type == ExtensionType.RESPONDER_ADDRESS:
            us = Cie(prefix_length=tunnel.bits, mtu=tunnel.mtu, holding_time_s=tunnel.holding_time_s,
                     nbma=nbma, protocol=tunnel.address.ip)  # fmt: skip
            answered.append(replace(extension, value=encode_cie(us)))
        elif extension.type == ExtensionType.AUTHENTICATION:
            if tunnel.authentication:
                answered.append(authentication(tunnel.authentication))
        elif extension.type == ExtensionType.NAT_ADDRESS and seen is not None:
            answered.append(replace(extension, value=extension.value + seen))
        else:
            answered.append(extension)
    return tuple(answered)
