"""What tunnel protection is configured with: an IPsec profile and the keys of one router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Literal

ANY = "%any"
"""charon's word for any address and any identity."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A pre-shared key and the identities that share it; none: everybody."""

    data: str
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IpsecConfig:
    """One router's protection. All its protected tunnels share one source, and so one profile."""

    source: str
    """Interface whose address is the local end of every SA."""
    identity: str
    """Our own IKE identity, a domain name: it stays when the address changes."""
    ike: Literal[1, 2]
    proposals: tuple[str, ...]
    """Of IKE, in charon's words."""
    esp_proposals: tuple[str, ...]
    authentication: Literal["psk", "pubkey"]
    secrets: tuple[Secret, ...] = ()
    certificates: tuple[str, ...] = ()
    """Paths of PEM files: CA, certificate, private key. Empty for `psk`."""
    peers: Mapping[IPv4Address, str] = field(default_factory=dict)
    """NBMA address -> identity that the peer there must prove."""
    peer_identity: str = ANY
    """What a peer that is not listed must prove; charon's patterns are understood."""
    responds: bool = False
    """Whether peers that are not known may come by themselves: on a hub, and where spokes meet."""
    dpd_s: int = 1
    lifetime_s: int = 3600
    """Of an ESP SA; it is rekeyed a little before."""
    ike_lifetime_s: int = 14400
