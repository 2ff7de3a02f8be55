"""From the core's state to the answers of the control socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dmvpn_lab.answers import MulticastEntry, NhrpEntry, NhsEntry
from dmvpn_lab.nhrp import multicast
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.nhc import Registration, State
from dmvpn_lab.nhrp.shortcuts import Shortcut
from dmvpn_lab.nhrp.tunnel import Tunnel


def nhrp_entry(binding: Binding, tunnel: Tunnel, now: float) -> NhrpEntry:
    """One cache entry."""
    config = tunnel.config
    registered = not binding.static and not binding.resolved
    multicast = binding.nbma in config.map_multicast or (config.map_multicast_dynamic and registered)
    flags = {
        "nat": binding.natted,
        "multicast": multicast,
        "nhs": binding.nhs,
        "registered": registered,
        "resolved": binding.resolved,
        "unique": binding.unique,
    }
    return NhrpEntry(
        interface=binding.interface,
        network_id=config.network_id,
        protocol=str(binding.protocol),
        prefix_length=binding.protocol.max_prefixlen,
        via=str(binding.protocol),
        nbma=str(binding.nbma),
        type="static" if binding.static else "dynamic",
        flags=sorted(name for name, on in flags.items() if on),
        holding_time_s=binding.holding_time_s,
        expires_in_s=None if binding.expires is None else round(binding.expires - now, 3),
        created_s_ago=round(now - binding.created, 3),
    )


def shortcut_entry(shortcut: Shortcut, binding: Binding, tunnel: Tunnel, now: float) -> NhrpEntry:
    """A prefix behind another spoke; it ends with the binding of its next hop."""
    entry = nhrp_entry(binding, tunnel, now)
    entry["protocol"] = str(shortcut.prefix.network_address)
    entry["prefix_length"] = shortcut.prefix.prefixlen
    entry["flags"] = ["shortcut"]
    entry["created_s_ago"] = round(now - shortcut.created, 3)
    return entry


def shortcut_entries(
    shortcuts: Iterable[Shortcut], tunnels: Mapping[str, Tunnel], now: float
) -> list[NhrpEntry]:
    """All of them, but for those whose next hop has no binding."""
    found = [(each, tunnels[each.interface]) for each in shortcuts]
    bound = [(each, tunnel.cache.get(each.via), tunnel) for each, tunnel in found]
    return [
        shortcut_entry(each, binding, tunnel, now) for each, binding, tunnel in bound if binding is not None
    ]


def multicast_entries(tunnels: Iterable[Tunnel]) -> list[MulticastEntry]:
    """The multicast peers of tunnels; the shell fills in the copies sent."""
    return [MulticastEntry(interface=tunnel.name, nbma=str(nbma), origin=origin, packets=0)
            for tunnel in tunnels
            for nbma, origin in multicast.peers(tunnel.config, tunnel.cache).items()]  # fmt: skip


def nhs_entry(registration: Registration, tunnel: Tunnel, now: float) -> NhsEntry:
    """One next hop server. A renewal under way still counts as registered."""
    state = State.REGISTERED if registration.state is State.RENEWING else registration.state
    nbma = tunnel.config.nbma_of(registration.nhs)
    renewing = registration.state is State.REGISTERED and registration.due is not None
    return NhsEntry(
        interface=tunnel.name,
        protocol=str(registration.nhs),
        nbma=None if nbma is None else str(nbma),
        priority=tunnel.config.priority_of(registration.nhs),
        state=state.value,
        requests_sent=registration.requests_sent,
        requests_failed=registration.requests_failed,
        replies_received=registration.replies_received,
        replied_s_ago=None if registration.replied is None else round(now - registration.replied, 3),
        renews_in_s=round(registration.due - now, 3) if renewing and registration.due else None,
        last_error=registration.last_error,
    )
