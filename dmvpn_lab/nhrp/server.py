"""The server's half of the agent: requests in, bindings and replies out.

A registration is answered in two steps: the neighbour is asked of the kernel with a token, and
the reply leaves when the kernel's verdict comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.nhrp import counters, nhs
from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, Notify, SendPacket
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.constants import CieCode, PacketType, PurgeFlag, meaning
from dmvpn_lab.nhrp.nhs import Verdict
from dmvpn_lab.nhrp.packet import HOP_COUNT, Packet, encode
from dmvpn_lab.nhrp.tunnel import Tunnel

PENDING_LIMIT = 8192
"""Registrations that wait for the kernel at the most; more are dropped and will be sent again."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A registration that waits for the kernel's verdict."""

    tunnel: Tunnel
    request: Packet
    verdict: Verdict
    outer: IPv4Address


class Server:
    """Answers registration, resolution and purge requests."""

    def __init__(self) -> None:
        self._pending: dict[int, Pending] = {}
        self._asking: set[tuple[str, IPv4Address, IPv4Address, int]] = set()
        self._token = 0

    def registration(self, tunnel: Tunnel, request: Packet, outer: IPv4Address, now: float) -> list[Action]:
        """Judge a registration request; accepted ones wait for the kernel."""
        verdict = nhs.judge(request, outer, tunnel.config, tunnel.cache)
        if verdict is None:
            tunnel.counters[counters.MALFORMED] += 1
            return []
        if request.source_nbma != outer:
            tunnel.counters[counters.NBMA_MISMATCH] += 1
        if verdict.code != CieCode.SUCCESS:
            return self._refuse(tunnel, request, verdict, verdict.code, outer)
        key = (tunnel.name, verdict.protocol, outer, request.request_id)
        if key in self._asking or len(self._pending) >= PENDING_LIMIT:
            return []
        self._asking.add(key)
        self._token += 1
        self._pending[self._token] = Pending(tunnel, request, verdict, outer)
        return [InstallNeighbour(tunnel.name, verdict.protocol, outer, self._token)]

    def installed(self, token: int, ok: bool, now: float) -> list[Action]:
        """The kernel took the neighbour, or not: answer."""
        pending = self._pending.pop(token)
        tunnel, request, verdict, outer = (
            pending.tunnel,
            pending.request,
            pending.verdict,
            pending.outer,
        )
        self._asking.discard((tunnel.name, verdict.protocol, outer, request.request_id))
        if not ok:
            tunnel.counters[counters.NEIGHBOUR_REFUSED] += 1
            return self._refuse(tunnel, request, verdict, CieCode.INSUFFICIENT_RESOURCES, outer)
        previous = tunnel.cache.get(verdict.protocol)
        kept = previous is not None and previous.nbma == verdict.nbma
        tunnel.cache.bind(
            Binding(
                interface=tunnel.name,
                protocol=verdict.protocol,
                nbma=verdict.nbma,
                created=previous.created if previous is not None and kept else now,
                unique=verdict.unique,
                holding_time_s=verdict.holding_time_s,
                expires=now + verdict.holding_time_s,
            )
        )
        facts: dict[str, Any] = {
            "interface": tunnel.name,
            "protocol": str(verdict.protocol),
            "nbma": str(verdict.nbma),
            "holding_time_s": verdict.holding_time_s,
            "unique": verdict.unique,
            "previous_nbma": str(previous.nbma) if previous is not None else None,
        }
        # Multicast first: when the client hears Success, the server's hellos are on their way.
        changes = [] if kept else tunnel.multicast_actions()
        reply = self._reply(tunnel, request, CieCode.SUCCESS, outer)
        return [*changes, Notify("peer-registered", facts), reply]

    def resolution(self, tunnel: Tunnel, request: Packet, outer: IPv4Address, now: float) -> list[Action]:
        """Answer from the cache; what it does not hold has no binding here."""
        wanted = request.destination_protocol
        binding = tunnel.cache.get(wanted) if isinstance(wanted, IPv4Address) else None
        reply = nhs.resolution_reply(request, binding, tunnel.config, tunnel.nbma, now)
        return [self._send(tunnel, outer, reply)]

    def purge(
        self, tunnel: Tunnel, request: Packet, outer: IPv4Address
    ) -> tuple[list[Binding], list[Action]]:
        """Bindings to forget, and the reply. Only the registrant's own are forgotten."""
        gone = []
        for cie in request.cies:
            protocol = cie.protocol or request.source_protocol
            binding = tunnel.cache.get(protocol) if isinstance(protocol, IPv4Address) else None
            if binding is not None and not binding.static and binding.nbma == outer:
                tunnel.cache.remove(binding.protocol)
                gone.append(binding)
        if request.flags & PurgeFlag.NO_REPLY:
            return gone, []
        reply = replace(request, type=PacketType.PURGE_REPLY, hop_count=HOP_COUNT)
        return gone, [self._send(tunnel, outer, reply)]

    def _refuse(
        self, tunnel: Tunnel, request: Packet, verdict: Verdict, code: int, outer: IPv4Address
    ) -> list[Action]:
        tunnel.counters[counters.refused(code)] += 1
        facts = {"interface": tunnel.name, "protocol": str(verdict.protocol), "nbma": str(outer),
                 "code": int(code), "meaning": meaning(code)}  # fmt: skip
        return [self._reply(tunnel, request, code, outer), Notify("peer-refused", facts)]

    def _reply(self, tunnel: Tunnel, request: Packet, code: int, outer: IPv4Address) -> SendPacket:
        reply = nhs.registration_reply(request, code, tunnel.config, tunnel.nbma)
        return self._send(tunnel, outer, reply)

    def _send(self, tunnel: Tunnel, outer: IPv4Address, packet: Packet) -> SendPacket:
        tunnel.counters[counters.sent(packet.type)] += 1
        return SendPacket(tunnel.name, outer, encode(packet))
