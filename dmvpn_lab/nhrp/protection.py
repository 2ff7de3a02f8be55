"""Which NBMA addresses a protected tunnel must have an SA with, seen from this router.

"The SAs will be negotiated as soon as the cache entry is created", says the deck: for each unique
NBMA address of the cache. An entry that a peer registered came by that peer's SA, so none is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.config import TunnelConfig


def peers(tunnel: TunnelConfig, bindings: Iterable[Binding]) -> frozenset[IPv4Address]:
    """The NBMA addresses; none for a bare tunnel."""
    if not tunnel.protected:
        return frozenset()
    ours = (b.nbma for b in bindings if b.interface == tunnel.name and b.static)
    return frozenset(ours)
