"""The server's half of the agent: requests in, bindings and replies out.

A registration is answered in two steps: the neighbour is asked of the kernel with a token, and
the reply leaves when the kernel's verdict comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp import counters, nhs
from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, Notify, RemoveNeighbour, SendPacket
from dmvpn_lab.nhrp.askers import Asker
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.constants import CieCode, PacketType, PurgeFlag, meaning
from dmvpn_lab.nhrp.nhs import Verdict
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.purger import Purger
from dmvpn_lab.nhrp.refresh import Refreshes, reply_to
from dmvpn_lab.nhrp.transit import Transit
from dmvpn_lab.nhrp.tunnel import Tunnel

PENDING_LIMIT = 8192
"""Registrations that wait for the kernel at the most; more are dropped and will be sent again."""

_REGISTRATION_RECEIVED = counters.received(PacketType.REGISTRATION_REQUEST)
_REGISTRATION_SENT = counters.sent(PacketType.REGISTRATION_REPLY)

Key = tuple[str, int, int, int]
"""Equal for a request and its retransmissions: tunnel, protocol and NBMA address, request ID.

Numbers, because an address takes five times as long to hash.
"""


@dataclass(frozen=True, slots=True)
class Pending:
    """A registration that waits for the kernel's verdict."""

    tunnel: Tunnel
    request: Packet
    verdict: Verdict
    existing: Binding | None
    """What the address had when the kernel was asked."""
    key: Key
    data: bytes
    """The request as it came."""


class Server:
    """Answers registration, resolution and purge requests."""

    def __init__(self, tunnels: Mapping[str, Tunnel], purger: Purger, transit: Transit) -> None:
        self._tunnels = tunnels
        self._transit = transit
        self._purger = purger
        self._pending: dict[int, Pending] = {}
        self._asking: set[Key] = set()
        self._token = 0
        self._refreshes = Refreshes()

    def refreshed(self, tunnel: Tunnel, data: bytes, outer: IPv4Address, now: float) -> list[Action] | None:
        """Renew by the short way; None: it is no renewal of what is bound, and has to go the long one."""
        if tunnel.config.owners is not None or self._pending:
            return None
        accepted = self._refreshes.find(tunnel.name, tunnel.nbma, data)
        if accepted is None or tunnel.cache.get(accepted.binding.protocol) is not accepted.binding:
            return None
        if accepted.binding.nbma != outer or accepted.binding.ended(now):
            return None
        tunnel.cache.renew(accepted.renewed(data, now))
        tunnel.counters[_REGISTRATION_RECEIVED] += 1
        tunnel.counters[_REGISTRATION_SENT] += 1
        if accepted.binding.natted:
            tunnel.counters[counters.NBMA_MISMATCH] += 1
        answer = SendPacket(tunnel.name, outer, reply_to(accepted, data))
        return [Notify("peer-registered", accepted.facts), answer]

    def registration(
        self, tunnel: Tunnel, request: Packet, outer: IPv4Address, now: float, data: bytes = b""
    ) -> list[Action]:
        """Judge a registration request; accepted ones wait for the kernel."""
        verdict = nhs.judge(request, outer, tunnel.config, tunnel.cache, tunnel.secured.get(outer))
        if verdict is None:
            tunnel.counters[counters.MALFORMED] += 1
            return []
        if request.source_nbma != outer:
            tunnel.counters[counters.NBMA_MISMATCH] += 1
        if verdict.code != CieCode.SUCCESS:
            return self._refuse(tunnel, request, verdict, verdict.code)
        existing = tunnel.cache.get(verdict.protocol)
        if nhs.is_late(request, outer, existing, now):
            tunnel.counters[counters.LATE_REQUEST] += 1
            return []
        key = (tunnel.name, int(verdict.protocol), int(outer), request.request_id)
        if key in self._asking:
            return []
        if len(self._pending) >= PENDING_LIMIT:
            tunnel.counters[counters.DROPPED_BUSY] += 1
            return []
        self._asking.add(key)
        self._token += 1
        self._pending[self._token] = Pending(tunnel, request, verdict, existing, key, data)
        return [InstallNeighbour(tunnel.name, verdict.protocol, outer, self._token)]

    def installed(self, token: int, ok: bool, now: float) -> list[Action]:
        """The kernel took the neighbour, or not: answer."""
        pending = self._pending.pop(token, None)
        if pending is None:
            return []  # withdrawn: a purge came after the request
        self._asking.discard(pending.key)
        tunnel, request, verdict = pending.tunnel, pending.request, pending.verdict
        if not ok:
            tunnel.counters[counters.NEIGHBOUR_REFUSED] += 1
            return self._refuse(tunnel, request, verdict, CieCode.INSUFFICIENT_RESOURCES)
        existing = tunnel.cache.get(verdict.protocol)
        if existing is not pending.existing or (
            existing is None and not tunnel.cache.room_for(tunnel.name, verdict.nbma)
        ):
            stopped = self._overtaken(pending, existing, now)
            if stopped is not None:
                return stopped
        return self._accept(pending, existing, now)

    def _overtaken(self, pending: Pending, existing: Binding | None, now: float) -> list[Action] | None:
        """Another request was answered while the kernel was asked: judge anew. None: still good."""
        tunnel, request, verdict = pending.tunnel, pending.request, pending.verdict
        if nhs.is_late(request, verdict.nbma, existing, now):
            tunnel.counters[counters.LATE_REQUEST] += 1
            return self._put_back(tunnel, verdict.protocol)
        again = nhs.judge(request, verdict.nbma, tunnel.config, tunnel.cache, verdict.identity)
        if again is None or again.code == CieCode.SUCCESS:
            return None
        back = self._put_back(tunnel, verdict.protocol)
        return [*back, *self._refuse(tunnel, request, verdict, again.code)]

    def _accept(self, pending: Pending, previous: Binding | None, now: float) -> list[Action]:
        """Bind, and say so."""
        tunnel, request, verdict = pending.tunnel, pending.request, pending.verdict
        here = (tunnel.name, verdict.nbma)
        registered = previous is not None and not previous.resolved
        kept = registered and previous is not None and (previous.interface, previous.nbma) == here
        binding = Binding(
            interface=tunnel.name,
            protocol=verdict.protocol,
            nbma=verdict.nbma,
            created=previous.created if previous is not None and kept else now,
            unique=verdict.unique,
            holding_time_s=verdict.holding_time_s,
            expires=now + verdict.holding_time_s,
            request_id=request.request_id,
            natted=request.source_nbma != verdict.nbma,
        )
        tunnel.cache.bind(binding)
        facts: dict[str, Any] = {
            "interface": tunnel.name,
            "protocol": str(verdict.protocol),
            "nbma": str(verdict.nbma),
            "holding_time_s": verdict.holding_time_s,
            "unique": verdict.unique,
            "previous_nbma": str(previous.nbma) if previous is not None else None,
        }
        # Multicast first: when the client hears Success, the server's hellos are on their way.
        changes = [] if kept else [*self._moved(previous, tunnel), *tunnel.multicast_actions()]
        if previous is None and pending.existing is not None:
            # It ran out while the kernel was asked, and took the neighbour with it.
            changes.insert(0, InstallNeighbour(tunnel.name, verdict.protocol, verdict.nbma))
        reply = self._reply(tunnel, request, CieCode.SUCCESS, verdict.nbma)
        self._refreshes.remember(tunnel.nbma, pending.data, reply.data, binding, facts)
        purges = [] if kept else self._purger.changed(tunnel.config.network_id, verdict.protocol, now)
        return [*changes, Notify("peer-registered", facts), reply, *purges]

    def _moved(self, previous: Binding | None, to: Tunnel) -> list[Action]:
        """What to undo on another tunnel of the domain that the client came from."""
        if previous is None or previous.interface == to.name:
            return []
        left = self._tunnels[previous.interface]
        return [RemoveNeighbour(left.name, previous.protocol), *left.multicast_actions()]

    def _put_back(self, tunnel: Tunnel, protocol: IpAddress) -> list[Action]:
        """The kernel took a neighbour that may not stay: restore what the cache says."""
        existing = tunnel.cache.get(protocol)
        if existing is None or existing.interface != tunnel.name:
            return [RemoveNeighbour(tunnel.name, protocol)]
        return [InstallNeighbour(tunnel.name, protocol, existing.nbma)]

    def resolution(self, tunnel: Tunnel, request: Packet, outer: IPv4Address, now: float) -> list[Action]:
        """Answer from the cache; what it does not hold is behind a router, or has no binding here."""
        wanted = request.destination_protocol
        binding = self._known(tunnel, wanted, now) if tunnel.config.speaks(wanted) else None
        behind = binding is None and (tunnel.config.redirect or tunnel.config.shortcut)
        if behind and tunnel.config.speaks(wanted) and wanted not in tunnel.config.address.network:
            return self._transit.question(tunnel, request, outer, wanted)
        reply = nhs.resolution_reply(request, binding, tunnel.config, tunnel.nbma, now)
        station, entry = request.source_protocol, reply.cies[0]
        if binding is not None and entry.code == CieCode.SUCCESS and tunnel.config.speaks(station):
            asker = Asker(tunnel, outer, now + entry.holding_time_s)
            self._purger.answered(binding.protocol, station, asker, now)
        return [self._send(tunnel, outer, reply)]

    def _known(self, tunnel: Tunnel, wanted: IpAddress, now: float) -> Binding | None:
        """Our own address, or what is registered here; what we were told ourselves is others' to tell."""
        ours, binding = tunnel.config.address.ip, tunnel.cache.get(wanted)
        if wanted != ours and (binding is None or binding.resolved):
            return None
        # To one on a tunnel that would not take the asker's packets, we are the way.
        apart = binding is not None and not tunnel.config.meets(self._tunnels[binding.interface].config)
        if (wanted == ours or apart) and tunnel.nbma is not None:
            return Binding(tunnel.name, ours, tunnel.outside or tunnel.nbma, now, static=True,
                           natted=tunnel.outside is not None)  # fmt: skip
        return binding

    def purge(
        self, tunnel: Tunnel, request: Packet, outer: IPv4Address
    ) -> tuple[list[Binding], list[Action]]:
        """Bindings to forget, and the reply. Only the registrant's own are forgotten."""
        gone = [each for each in tunnel.cache if nhs.is_purged(each, request, outer, tunnel.config)]
        for binding in gone:
            tunnel.cache.remove(binding.protocol)
        actions = self._withdraw(tunnel, request, outer)
        if not request.flags & PurgeFlag.NO_REPLY:
            actions.append(self._send(tunnel, outer, nhs.purge_reply(request, tunnel.config, tunnel.nbma)))
        return gone, actions

    def _withdraw(self, tunnel: Tunnel, purge: Packet, outer: IPv4Address) -> list[Action]:
        """Forget the registrant's requests that still wait for the kernel."""
        tokens = [token for token, each in self._pending.items()
                  if each.tunnel is tunnel and each.verdict.nbma == outer
                  and nhs.purges(purge, each.verdict.protocol, tunnel.config)]  # fmt: skip
        actions: list[Action] = []
        for token in tokens:
            pending = self._pending.pop(token)
            self._asking.discard(pending.key)
            actions += self._put_back(tunnel, pending.verdict.protocol)
        return actions

    def _refuse(self, tunnel: Tunnel, request: Packet, verdict: Verdict, code: int) -> list[Action]:
        tunnel.counters[counters.refused(code)] += 1
        facts: dict[str, Any] = {
            "interface": tunnel.name, "protocol": str(verdict.protocol), "nbma": str(verdict.nbma),
            "code": int(code), "meaning": meaning(code),
        }  # fmt: skip
        if not nhs.owns(verdict.identity, verdict.protocol, tunnel.config):
            tunnel.counters[counters.IDENTITY_MISMATCH] += 1
            facts["identity"] = verdict.identity
        return [self._reply(tunnel, request, code, verdict.nbma), Notify("peer-refused", facts)]

    def _reply(self, tunnel: Tunnel, request: Packet, code: int, outer: IPv4Address) -> SendPacket:
        reply = nhs.registration_reply(request, code, tunnel.config, tunnel.nbma, outer)
        return self._send(tunnel, outer, reply)

    def _send(self, tunnel: Tunnel, outer: IPv4Address, packet: Packet) -> SendPacket:
        tunnel.counters[counters.sent(packet.type)] += 1
        return SendPacket(tunnel.name, outer, encode(packet))
