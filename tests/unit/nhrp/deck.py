"""The addresses of the deck's lab."""

from __future__ import annotations

from ipaddress import IPv4Address

HUB_NBMA = IPv4Address("172.17.0.1")
HUB = IPv4Address("10.0.0.1")
SPOKE_NBMA = IPv4Address("172.16.1.1")
SPOKE = IPv4Address("10.0.0.11")
OTHER_NBMA = IPv4Address("172.16.2.1")
OTHER = IPv4Address("10.0.0.12")
TUNNEL = "tunnel0"
BOUND = {str(SPOKE): str(SPOKE_NBMA)}
"""What `seen.bindings` tells when spoke A is registered, and nobody else."""
