"""What a router's routing table says of an address: asked by `FindRoute`, answered by `Agent.found`."""

from __future__ import annotations

from dataclasses import dataclass

from dmvpn_lab.address import IpAddress, IpNetwork


@dataclass(frozen=True, slots=True)
class Route:
    """The route that the main table has for an address, shortcuts left aside."""

    prefix: IpNetwork
    interface: str
    gateway: IpAddress | None
    """None: the destination is on the link itself, or our own."""
