"""The deck's lab with IPv6 in its tunnels, too."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface
from typing import Any

from dmvpn_lab.nhrp.agent import Agent
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.config import Overlay
from dmvpn_lab.nhrp.constants import PROTOCOL_IPV6, PacketType
from dmvpn_lab.nhrp.packet import Packet
from tests.unit.nhrp.builders import agent, hub_config, request, spoke_config
from tests.unit.nhrp.deck import HUB_NBMA, OTHER_NBMA, SPOKE_NBMA, TUNNEL

HUB_6, SPOKE_6, OTHER_6 = (IPv6Address(f"2001:db8::{n}") for n in ("1", "11", "12"))
HUB_LINK, SPOKE_LINK, OTHER_LINK = (IPv6Address(f"fe80::{n}") for n in ("1", "11", "12"))


def overlays(*addresses: IPv6Address, server: bool) -> tuple[Overlay, ...]:
    """A global and a link-local address; of a spoke, with the hub's as server."""
    hubs = (HUB_6, HUB_LINK)
    return tuple(
        Overlay(
            IPv6Interface((int(address), 64)), () if server else (at,), () if server else ((at, HUB_NBMA),)
        )
        for address, at in zip(addresses, hubs, strict=True)
    )


def dual_hub(**changes: Any) -> Agent:
    """The hub of the deck with IPv6."""
    made = agent(hub_config(overlays=overlays(HUB_6, HUB_LINK, server=True), **changes))
    made.source_changed(TUNNEL, HUB_NBMA, 0.0)
    return made


def dual_spoke(number: int = 11, **changes: Any) -> Agent:
    """A spoke of the deck with IPv6."""
    ours = overlays(IPv6Address(f"2001:db8::{number}"), IPv6Address(f"fe80::{number}"), server=False)
    return agent(spoke_config(overlays=ours, **changes))


def request_6(
    protocol: IPv6Address = SPOKE_6, nbma: IPv4Address = SPOKE_NBMA, to: IPv6Address = HUB_6, **changes: Any
) -> Packet:
    """A registration request for an IPv6 address."""
    entry = Cie(prefix_length=128, mtu=1400, holding_time_s=300)
    made = request(nbma=nbma, cie=entry, protocol_type=PROTOCOL_IPV6, destination_protocol=to)
    return replace(made, source_protocol=protocol, **changes)


def question(wanted: IPv6Address, of: IPv6Address = OTHER_6) -> Packet:
    """Where is that IPv6 address?"""
    return replace(request_6(of, OTHER_NBMA, wanted), type=PacketType.RESOLUTION_REQUEST, flags=0xC800)
