"""Which NBMA addresses a protected tunnel must have an SA with, seen from this router.

"The SAs will be negotiated as soon as the cache entry is created", says the deck: for each unique
NBMA address of the cache. An entry that a peer registered came by that peer's SA, so none is asked for.
One that was resolved is asked for as long as it lasts: until there is an SA, and whenever it is lost,
packets go to the server instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from dmvpn_lab.nhrp.actions import Protect
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.config import TunnelConfig


def wishes(tunnel: TunnelConfig, bindings: Iterable[Binding]) -> Protect:
    """The NBMA addresses, those of static entries and those that were resolved."""
    ours = [b for b in bindings if b.interface == tunnel.name]
    static = frozenset(b.nbma for b in ours if b.static)
    resolved = frozenset(b.nbma for b in ours if b.resolved)
    return Protect(tunnel.name, static | resolved, resolved - static)
