"""One router's NHRP: the front door of the core.

    receive(interface, data, nbma, now)  source_changed(...)  tick(now)  installed(token, ok, now)
        -> list[Action], in the order in which to carry them out

`deadline()` says when `tick` is due. Nothing here reads a clock, logs, waits or touches a socket.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.address import IpAddress, addresses_of
from dmvpn_lab.answers import Counters, MulticastEntry, NhrpEntry, NhsEntry
from dmvpn_lab.nhrp import acceptance, counters, protection, views
from dmvpn_lab.nhrp.actions import (
    Action,
    InstallNeighbour,
    InstallShortcut,
    Notify,
    RemoveNeighbour,
    apart,
)
from dmvpn_lab.nhrp.cache import Binding, Cache
from dmvpn_lab.nhrp.client import Client
from dmvpn_lab.nhrp.config import TunnelConfig
from dmvpn_lab.nhrp.constants import PacketType
from dmvpn_lab.nhrp.packet import Packet
from dmvpn_lab.nhrp.purger import Purger
from dmvpn_lab.nhrp.renewal import renew
from dmvpn_lab.nhrp.request_ids import RequestIds
from dmvpn_lab.nhrp.resolver import Resolver
from dmvpn_lab.nhrp.route import Route
from dmvpn_lab.nhrp.saved import Changes, Saved, restorable
from dmvpn_lab.nhrp.server import Server
from dmvpn_lab.nhrp.shortcuts import Shortcuts
from dmvpn_lab.nhrp.transit import Transit
from dmvpn_lab.nhrp.tunnel import Tunnel


class Agent:
    """All tunnels of one router, joined into domains by their network-id."""

    def __init__(self, config: Iterable[TunnelConfig], rng: random.Random) -> None:
        self.domains: dict[int, Cache] = {}
        self.tunnels: dict[str, Tunnel] = {}
        self._ids = RequestIds(rng.getrandbits(31))  # an off-path attacker must not guess the first
        for each in config:
            cache = self.domains.setdefault(each.network_id, Cache())
            first, *further = each.parts()
            self.tunnels[each.name] = Tunnel(first, cache)
            for part in further:
                self.tunnels[each.name].add(part)
        self._parts = [part for tunnel in self.tunnels.values() for part in tunnel.parts]
        self._client = Client(rng, self._ids)
        self._shortcuts = Shortcuts()
        self._resolver = Resolver(rng, self._ids, self._shortcuts)
        self._purger = Purger(rng, self._ids)
        self._transit = Transit(self.tunnels, self._purger)
        self._server = Server(self.tunnels, self._purger, self._transit)

    # --- what happens to the tunnels -----------------------------------------------------------

    def source_changed(self, interface: str, nbma: IPv4Address | None, now: float) -> list[Action]:
        """The tunnel has a (new) source address, or has lost it (None)."""
        tunnel = self.tunnels[interface]
        old = tunnel.nbma
        if nbma == old:
            return []
        tunnel.secured.clear()  # an SA is between two addresses
        for part in tunnel.parts:
            part.nbma, part.outside = nbma, None
        if nbma is None:
            facts = {"interface": interface, "reason": "the source interface has no address"}
            return [*self._changed(interface, old, nbma), Notify("tunnel-down", facts),
                    *(action for part in tunnel.parts for action in self._client.stop(part))]  # fmt: skip
        actions: list[Action] = []
        for part in [part for part in tunnel.parts if not part.installed]:
            actions += self._static_maps(part, now)
        if old is None:
            actions.append(Notify("tunnel-up", {"interface": interface, "nbma": str(nbma)}))
        trigger = "source-changed" if tunnel.had_source else "tunnel-up"
        if tunnel.config.protected:
            actions += self._resolver.redirected(tunnel)
        if tunnel.had_source:
            actions += [*self._changed(interface, old, nbma), *self._transit.moved(tunnel, now)]
        tunnel.had_source = True
        for part in tunnel.parts:
            actions += self._client.register(part, trigger, now)
        return actions

    def secured(
        self, local: IPv4Address, peer: IPv4Address, identity: str, now: float, *, fresh: bool = False
    ) -> list[Action]:
        """There is an IPsec SA between two NBMA addresses (`fresh`: just now), and IKE knows the peer."""
        actions: list[Action] = []
        for tunnel in self.tunnels.values():
            if tunnel.config.protected and tunnel.nbma == local:
                tunnel.secured[peer] = identity
                actions += self._resolver.redirected(tunnel, peer)
                for part in tunnel.parts:
                    actions += self._client.secured(part, peer, now, fresh=fresh)
                    actions += self._release(part, peer, now)
        return actions

    def unsecured(self, local: IPv4Address, peer: IPv4Address) -> list[Action]:
        """The last SA between two NBMA addresses is gone."""
        actions: list[Action] = []
        for tunnel in self.tunnels.values():
            if tunnel.config.protected and tunnel.nbma == local:
                tunnel.secured.pop(peer, None)
                for part in tunnel.parts:
                    self._client.unsecured(part, peer)
                actions += self._resolver.redirected(tunnel, peer)
        return actions

    def leave(self, now: float) -> list[Action]:
        """The router goes for good: who knows it forgets it now and not when its holding time is over."""
        told = self._transit.leave(now)  # a server passes on only what those say whom it knows
        return told + [action for part in self._parts for action in self._client.leave(part)]

    def shutdown(self, now: float) -> list[Action]:
        """The agent ends. Kernel state stays, so that a restarted agent takes over without a gap."""
        return [Notify("tunnel-down", {"interface": name, "reason": "the agent ends"})
                for name, tunnel in self.tunnels.items() if tunnel.nbma is not None]  # fmt: skip

    # --- what outlives the agent ------------------------------------------------------------------

    def restore(self, state: Saved, now: float) -> list[Action]:
        """Take over what an earlier agent of this router knew: before anything else is told.

        Request IDs go on where it stopped (section 5.2.3); bindings keep the rest of their holding
        time. What has run out, or does not fit the configuration of now, is dropped.
        """
        if state.last_id is not None:
            self._ids.last = state.last_id
        kept = 0
        for binding in state.bindings:
            tunnel = self.tunnels.get(binding.interface)
            part = None if tunnel is None else tunnel.part(binding.protocol)
            if part is not None and restorable(binding, part.config, now) and not part.cache.full:
                part.cache.bind(binding)
                kept += 1
                if binding.resolved:
                    self._resolver.restored(binding, now)
        for tunnel in self.tunnels.values():
            tunnel.multicast_actions()  # the shell gives a link that it opens the whole set
        if not state.found:
            return []
        return [Notify("state-restored", {"bindings": kept, "dropped": len(state.bindings) - kept})]

    def take_changes(self) -> Changes:
        """What `restore` of the next agent must know, since the last call."""
        changes = Changes(self._ids.last, [], [])
        for domain, cache in self.domains.items():
            changes.renewed += [(domain, renewed) for renewed in cache.take_renewed()]
            changes.bindings += [(domain, *change) for change in cache.take_changed()]
        return changes

    # --- time -----------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When `tick` is due, monotonic seconds; None when nothing is."""
        due = [cache.deadline() for cache in self.domains.values()]
        due += [self._resolver.deadline(), self._purger.deadline()]
        due += [registration.due for part in self._parts for registration in part.registrations]
        known = [each for each in due if each is not None]
        return min(known) if known else None

    def tick(self, now: float) -> list[Action]:
        """Do what is due: expire bindings, retransmit, renew."""
        actions: list[Action] = []
        for cache in self.domains.values():
            for binding in cache.expire(now):
                actions += self._gone(binding, "expired", now)
        again, lost = self._resolver.out_of_reach(now)
        actions += again
        if lost:
            actions += self._forget(
                lambda b: b.resolved and (b.interface, b.protocol) in lost, "unreachable", now
            )
        actions += self._resolver.tick(now, self.tunnels)
        actions += self._purger.tick(now)
        for part in self._parts:
            actions += self._client.tick(part, now)
        return actions

    # --- the kernel's wishes ----------------------------------------------------------------------

    def probed(self, interface: str, protocol: IpAddress, now: float) -> list[Action]:
        """The kernel has packets for a neighbour that it misses, or has used one `on_demand`."""
        return self._resolver.probed(self.tunnels[interface].part(protocol), protocol, now)

    def forwarded(
        self, interface: str, out: str, nbma: IPv4Address | None, data: bytes, now: float
    ) -> list[Action]:
        """The kernel forwarded a packet (its first octets) from a tunnel to a tunnel, or to the same."""
        source, _ = addresses_of(data) or (None, None)
        tunnel = self.tunnels[interface].part(source)
        return self._transit.forwarded(tunnel, self.tunnels[out], nbma, data, now)

    def found(self, token: int, route: Route | None, now: float) -> list[Action]:
        """The answer to a `FindRoute`; None: there is no route."""
        if token < 0:
            return self._transit.found(token, route, now)
        actions, wanted = self._shortcuts.found(token, route, self.tunnels)
        return actions if wanted is None else actions + self._resolver.shorten(*wanted, now)

    def routes_changed(self) -> list[Action]:
        """The routing table is another one: what shortcuts shorten, or what is behind us, may be gone."""
        return [*self._shortcuts.routes_changed(self.tunnels), *self._transit.routes_changed()]

    def expire(self, now: float) -> list[Action]:
        """Every holding time ends now, whatever is left of it."""
        return self._forget(lambda binding: not binding.static, "expired", now)

    def clear(self, now: float) -> list[Action]:
        """Forget what was resolved, as `clear ip nhrp` does; registrations stay."""
        actions = self._forget(lambda binding: binding.resolved, "cleared", now)
        for tunnel in self.tunnels.values():
            actions += self._resolver.clear(tunnel)
        for shortcut in tuple(self._shortcuts):  # those whose next hop registered here
            actions += self._shortcuts.remove(shortcut, "cleared")
        return actions

    def _forget(self, which: Callable[[Binding], bool], reason: str, now: float) -> list[Action]:
        actions: list[Action] = []
        for cache in self.domains.values():
            for binding in [each for each in cache if which(each)]:
                cache.remove(binding.protocol)
                actions += self._gone(binding, reason, now)
        return actions

    # --- packets --------------------------------------------------------------------------------

    def receive_all(
        self, interface: str, packets: Iterable[tuple[bytes, IPv4Address | None]], now: float
    ) -> list[Action]:
        """Packets came in together, each with its outer source; that is None on point-to-point GRE."""
        tunnel, rest = self.tunnels[interface], iter(packets)
        actions: list[Action] = []
        while True:
            # What waits for the kernel may be about the same address, and came first.
            other = next(rest, None) if self._server.pending else renew(tunnel, rest, now, actions)
            if other is None:
                return actions
            data, nbma = other
            outer = nbma or tunnel.config.destination
            if outer is not None and not self._server.of_form(tunnel, data, outer, actions):
                actions += self._handle(tunnel, data, outer, now)

    def receive(self, interface: str, data: bytes, nbma: IPv4Address | None, now: float) -> list[Action]:
        """One packet came in."""
        return apart(self.receive_all(interface, [(data, nbma)], now))

    def _handle(self, tunnel: Tunnel, data: bytes, outer: IPv4Address, now: float) -> list[Action]:
        """A packet that is no registration of a known form."""
        packet = acceptance.decoded(tunnel, data)
        if packet is None:
            return []
        tunnel = tunnel.part(packet.source_protocol)
        tunnel.counters[counters.received(packet.type)] += 1
        refused = acceptance.refusal(tunnel, packet, data)
        if refused is not None:
            return acceptance.error(tunnel, outer, packet, data, refused)
        return self._dispatch(tunnel, packet, outer, now, data)

    def installed(self, token: int, ok: bool, now: float) -> list[Action]:
        """The kernel's verdict on an `InstallNeighbour` with that token."""
        return apart(self.all_installed([(token, ok)], now))

    def all_installed(self, verdicts: Iterable[tuple[int, bool]], now: float) -> list[Action]:
        """Its verdicts on several."""
        return self._server.installed(verdicts, now)

    def _dispatch(
        self, tunnel: Tunnel, packet: Packet, outer: IPv4Address, now: float, data: bytes = b""
    ) -> list[Action]:
        match packet.type:
            case PacketType.REGISTRATION_REQUEST:
                if tunnel.config.owners is not None and outer not in tunnel.secured:
                    tunnel.hold(packet, outer, now)
                    return []
                return self._server.registration(tunnel, packet, outer, now, data)
            case PacketType.REGISTRATION_REPLY:
                return self._client.reply(tunnel, packet, outer, now)
            case PacketType.RESOLUTION_REQUEST:
                return self._server.resolution(tunnel, packet, outer, now)
            case PacketType.PURGE_REQUEST:
                return self._purge(tunnel, packet, outer, now)
            case PacketType.ERROR_INDICATION:
                passed = self._transit.error(tunnel, packet, outer)
                return self._client.error(tunnel, packet, outer) if passed is None else passed
            case PacketType.RESOLUTION_REPLY:
                if packet.source_protocol == tunnel.config.address.ip or not tunnel.config.redirect:
                    return self._resolver.reply(tunnel, packet, outer, now) + self._protect(tunnel)
                return self._transit.reply(tunnel, packet, outer)
            case PacketType.PURGE_REPLY:
                if packet.source_protocol == tunnel.config.address.ip or not tunnel.config.redirect:
                    return self._purger.reply(tunnel, packet, outer)
                return self._transit.reply(tunnel, packet, outer)
            case PacketType.TRAFFIC_INDICATION:
                return self._shortcuts.indicated(tunnel, packet, outer)
            case _:
                tunnel.counters[counters.UNKNOWN_TYPE] += 1
        return []

    def _release(self, tunnel: Tunnel, peer: IPv4Address, now: float) -> list[Action]:
        """Handle what was held of a peer."""
        ready = tunnel.release(peer, now)
        return [action for packet in ready for action in self._dispatch(tunnel, packet, peer, now)]

    def _purge(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address, now: float) -> list[Action]:
        """Forget at the wish of who said it, and nobody else's (section 5.2.5), or pass the wish on."""
        passed = self._transit.purge(tunnel, packet, outer)
        if passed is not None:
            return passed
        actions = self._shortcuts.purged(tunnel, packet, outer)
        actions += self._resolver.purged(tunnel, packet, outer, now)
        gone, reply = self._server.purge(tunnel, packet, outer)
        for binding in gone:
            actions += self._gone(binding, "purged", now)
        return actions + reply

    # --- helpers --------------------------------------------------------------------------------

    def _static_maps(self, tunnel: Tunnel, now: float) -> list[Action]:
        tunnel.installed = True
        actions: list[Action] = []
        for protocol, nbma in tunnel.config.static_maps:
            servers = protocol in tunnel.config.nhs
            tunnel.cache.bind(Binding(tunnel.name, protocol, nbma, now, static=True, nhs=servers))
            if tunnel.config.mode == "multipoint":
                actions.append(InstallNeighbour(tunnel.name, protocol, nbma))
        if tunnel.config.map_multicast:
            actions += tunnel.multicast_actions()
        return actions + self._protect(tunnel)

    def _protect(self, tunnel: Tunnel) -> list[Action]:
        """With whom there must be an SA now; nobody on a bare tunnel."""
        return [protection.wishes(tunnel.config, tunnel.cache)] if tunnel.config.protected else []

    def _gone(self, binding: Binding, reason: str, now: float) -> list[Action]:
        """What follows from a binding that is not in the cache any more."""
        facts = {"interface": binding.interface, "protocol": str(binding.protocol),
                 "nbma": str(binding.nbma)}  # fmt: skip
        tunnel = self._tunnel_of(binding)
        removal = RemoveNeighbour(binding.interface, binding.protocol)
        if binding.resolved:
            self._resolver.gone(binding)
            # First the routes, so that no packet looks for a neighbour that has gone.
            shortcuts = self._shortcuts.next_hop_gone(binding.interface, binding.protocol, reason)
            ended = Notify("resolution-ended", facts | {"reason": reason})
            return [*shortcuts, removal, ended, *self._protect(tunnel)]
        purges = self._purger.changed(tunnel.config.network_id, binding.protocol, now)
        return [removal, *tunnel.multicast_actions(), Notify("peer-expired", facts), *purges]

    def _tunnel_of(self, binding: Binding) -> Tunnel:
        return self.tunnels[binding.interface].part(binding.protocol)

    def _changed(self, interface: str, old: IPv4Address | None, new: IPv4Address | None) -> list[Action]:
        facts: dict[str, Any] = {"interface": interface, "old": old and str(old), "new": new and str(new)}
        return [Notify("nbma-changed", facts)]

    def neighbours(self, interface: str, protocol: IpAddress | None = None) -> list[InstallNeighbour]:
        """What the kernel must have of a multipoint tunnel: everything, or what one address has."""
        tunnel = self.tunnels[interface]
        if tunnel.config.mode != "multipoint":
            return []
        some = tunnel.cache if protocol is None else (tunnel.cache.get(protocol),)
        ours = [each for each in some if each is not None and each.interface == interface]
        return [self._resolver.neighbour(self._tunnel_of(each), each) for each in ours]

    def shortcuts(self, interface: str) -> list[InstallShortcut]:
        """The shortcut routes of a tunnel, to put them into a link that is new."""
        return [InstallShortcut(interface, each.prefix, each.via) for each in self._shortcuts.of(interface)]

    # --- what to show -----------------------------------------------------------------------------

    def nhrp(self, now: float) -> list[NhrpEntry]:
        """The cache of every domain."""
        entries = [views.nhrp_entry(b, self._tunnel_of(b), now) for c in self.domains.values() for b in c]
        return entries + views.shortcut_entries(self._shortcuts, self.tunnels, now)

    def nhs(self, now: float) -> list[NhsEntry]:
        """The next hop servers of every tunnel."""
        return [views.nhs_entry(r, part, now) for part in self._parts for r in part.registrations]

    def multicast(self) -> list[MulticastEntry]:
        """The multicast peers of every tunnel; the shell fills in the copies sent."""
        return views.multicast_entries(self.tunnels.values())

    def counters(self) -> Counters:
        """Every counter that is not zero, by tunnel."""
        return {name: tunnel.counted() for name, tunnel in self.tunnels.items()}
