"""What a packet must be before it is read: ours, from this network, authentic, newer than the last."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address

from dmvpn_lab.eigrp import authentication
from dmvpn_lab.eigrp.config import InterfaceConfig
from dmvpn_lab.eigrp.neighbour import Neighbour
from dmvpn_lab.eigrp.packet import Packet, decode
from dmvpn_lab.errors import DecodeError


def admit(
    data: bytes, source: IPv4Address, asn: int, interface: InterfaceConfig,
    neighbour: Neighbour | None, counters: Counter[str],
) -> Packet | None:  # fmt: skip
    """A packet that may be used; None for one that is counted and no more."""
    try:
        packet = decode(data)
    except DecodeError:
        counters["malformed"] += 1
        return None
    if packet.asn != asn or packet.vrid != 0:
        counters["other-asn"] += 1
        return None
    address = interface.address
    if source == address.ip or source not in address.network:
        counters["not-on-common-subnet"] += 1
        return None
    reason = _unauthentic(data, source, interface, neighbour)
    if reason is not None:
        counters[f"auth-{reason}"] += 1
        return None
    counters[f"received-{packet.kind}"] += 1
    return packet


def _unauthentic(
    data: bytes, source: IPv4Address, interface: InterfaceConfig, neighbour: Neighbour | None
) -> str | None:
    """Why a packet must not be believed; None: it may."""
    if interface.key is None:
        return "off" if authentication.has_authentication(data) else None
    reason, sequence = authentication.opened(data, interface.key, source)
    if reason is None and neighbour is not None:
        if sequence < neighbour.key_sequence:
            return "replayed"
        neighbour.key_sequence = sequence
    return reason
