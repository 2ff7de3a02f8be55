"""Who gets a copy of a tunnel's multicast: `ip nhrp map multicast NBMA` and `... dynamic`."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.config import TunnelConfig


def peers(tunnel: TunnelConfig, bindings: Iterable[Binding]) -> dict[IPv4Address, str]:
    """NBMA address -> `static` or `dynamic`, of one tunnel.

    Dynamic ones are the registered peers. Two protocol addresses behind one NBMA address get one
    copy.
    """
    found = dict.fromkeys(tunnel.map_multicast, "static")
    if tunnel.map_multicast_dynamic:
        for binding in bindings:
            if binding.interface == tunnel.name and not binding.static and not binding.resolved:
                found.setdefault(binding.nbma, "dynamic")
    return found
