"""What ODR is configured with."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface


@dataclass(frozen=True, slots=True)
class TunnelConfig:
    """A tunnel over which CDP runs."""

    name: str
    address: IPv4Interface
    hub: bool
    """It takes prefixes and says that it is the default gateway; a spoke does the reverse."""
    hello_s: float
    """Seconds between two packets (`cdp timer`)."""
    hold_s: int
    """What neighbours are told (`cdp holdtime`)."""


@dataclass(frozen=True, slots=True)
class OdrConfig:
    """`router odr` on a hub; on a spoke, CDP without a routing protocol."""

    device: str
    tunnels: tuple[TunnelConfig, ...]
    lans: tuple[tuple[str, IPv4Interface], ...]
    """(interface, address): what a spoke announces."""
