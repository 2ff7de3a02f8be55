"""The registration requests of many spokes, as octets after the GRE header."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet, encode

HUB = IPv4Interface("10.0.0.1/16")
HUB_NBMA = IPv4Interface("172.17.0.1/24")
HOLDING_TIME_S = 600
SPOKES_NBMA = IPv4Address("172.16.0.0")
A_SUBNET = 250
"""Spokes in a /24: neither the subnet's own address nor its broadcast address is one."""


def protocol(spoke: int) -> IPv4Address:
    """The tunnel address of spoke number 0, 1, 2 ..."""
    return _place(HUB.network.network_address, spoke)


def nbma(spoke: int) -> IPv4Address:
    """The NBMA address of spoke number 0, 1, 2 ..."""
    return _place(SPOKES_NBMA, spoke)


def request(spoke: int, number: int) -> bytes:
    """A spoke's registration request with that request ID; without the unique bit."""
    packet = Packet(
        PacketType.REGISTRATION_REQUEST,
        request_id=number,
        source_nbma=nbma(spoke),
        source_protocol=protocol(spoke),
        destination_protocol=HUB.ip,
        cies=(Cie(prefix_length=32, mtu=1400, holding_time_s=HOLDING_TIME_S),),
    )
    return encode(packet)


def _place(network: IPv4Address, spoke: int) -> IPv4Address:
    third, fourth = divmod(spoke, A_SUBNET)
    return network + 256 * (1 + third) + 1 + fourth
