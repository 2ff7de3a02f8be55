"""The server's half of the agent: requests in, bindings and replies out.

A registration is answered in two steps: the neighbour is asked of the kernel with a token, and
the reply leaves when the kernel's verdict comes back. One of a known form (form.py) is not even
decoded; a renewal of it asks the kernel nothing, which has the neighbour for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp import counters, nhs
from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, Notify, RemoveNeighbour, SendPacket, registered
from dmvpn_lab.nhrp.askers import Asker
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.constants import CieCode, PacketType, PurgeFlag, meaning
from dmvpn_lab.nhrp.form import SHORTEST, Client, Forms
from dmvpn_lab.nhrp.nhs import Verdict
from dmvpn_lab.nhrp.packet import Packet, decode, encode
from dmvpn_lab.nhrp.purger import Purger
from dmvpn_lab.nhrp.renewal import told
from dmvpn_lab.nhrp.transit import Transit
from dmvpn_lab.nhrp.tunnel import Tunnel

_IPV4, _IPV6 = (1 << 32) - 1, (1 << 128) - 1
PENDING_LIMIT = 8192
"""Registrations that wait for the kernel at the most; more are dropped and will be sent again."""

_REGISTRATION_RECEIVED = counters.received(PacketType.REGISTRATION_REQUEST)
_REGISTRATION_SENT = counters.sent(PacketType.REGISTRATION_REPLY)

Key = tuple[str, bytes, bytes, int]
"""Equal for a request and its retransmissions: tunnel, protocol and NBMA address, request ID.

Octets, because an address takes five times as long to hash.
"""


@dataclass(slots=True)
class Pending:
    """A registration that waits for the kernel's verdict."""

    tunnel: Tunnel
    verdict: Verdict
    existing: Binding | None
    """What the address had when the kernel was asked."""
    key: Key
    data: bytes
    """The request as it came."""
    natted: bool
    packet: Packet | None = None
    """The same, if it had to be decoded."""
    client: Client | None = None
    """Whose it is, if that was enough."""

    @property
    def request(self) -> Packet:
        """The request."""
        return self.packet or decode(self.data)


class Server:
    """Answers registration, resolution and purge requests."""

    def __init__(self, tunnels: Mapping[str, Tunnel], purger: Purger, transit: Transit) -> None:
        self._tunnels = tunnels
        self._transit = transit
        self._purger = purger
        self.pending: dict[int, Pending] = {}
        """Registrations that wait for the kernel, by token."""
        self._asking: set[Key] = set()
        self._token = 0
        self._forms = {name: Forms() for name in tunnels}

    def of_form(self, tunnel: Tunnel, data: bytes, outer: IPv4Address, actions: list[Action]) -> bool:
        """Have the kernel take a new neighbour for a request of a form that was accepted before.

        False: not all that a first registration is judged by allows it, and it has to go the long way.
        """
        if tunnel.config.owners is not None or len(data) < SHORTEST:
            return False
        if tunnel.cache.at(data[32:36] if data[20] == 4 else data[32:48]) is not None:
            return False
        client = self._forms[tunnel.config.name].client(tunnel.nbma, data, outer)
        request_id = None if client is None else client.request_id(data)
        if client is None or request_id is None:
            return False
        form, octets = client.form, client.octets[4:]
        (first, last, own), name = form.numbers, tunnel.config.name
        number = client.number & (_IPV4 if len(octets) == 4 else _IPV6)
        allowed = first <= number <= last and number != own and tunnel.cache.room_for(name, outer)
        key = (name, octets, outer.packed, request_id)
        if not allowed or key in self._asking or len(self.pending) >= PENDING_LIMIT:
            return False
        tunnel.counters[_REGISTRATION_RECEIVED] += 1
        if form.natted:
            tunnel.counters[counters.NBMA_MISMATCH] += 1
        protocol = IPv4Address(number) if len(octets) == 4 else IPv6Address(number)
        verdict = Verdict(protocol, outer, form.holding_time_s, form.unique, CieCode.SUCCESS)
        actions += self._wait(Pending(form.part, verdict, None, key, data, form.natted, client=client))
        return True

    def _wait(self, pending: Pending) -> list[Action]:
        self._asking.add(pending.key)
        self._token += 1
        self.pending[self._token] = pending
        verdict = pending.verdict
        return [InstallNeighbour(pending.tunnel.config.name, verdict.protocol, verdict.nbma, self._token)]

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
        key = (tunnel.name, verdict.protocol.packed, outer.packed, request.request_id)
        if key in self._asking:
            return []
        if len(self.pending) >= PENDING_LIMIT:
            tunnel.counters[counters.DROPPED_BUSY] += 1
            return []
        natted = request.source_nbma != outer
        return self._wait(Pending(tunnel, verdict, existing, key, data, natted, packet=request))

    def installed(self, verdicts: Iterable[tuple[int, bool]], now: float) -> list[Action]:
        """The kernel took neighbours, or not: answer those that wait.

        Multicast first: when a client hears Success, the server's hellos are on their way.
        """
        actions: list[Action] = []
        moved: dict[str, Tunnel] = {}
        for token, ok in verdicts:
            self._installed(token, ok, now, moved, actions)
        multicast = [action for tunnel in moved.values() for action in tunnel.multicast_actions()]
        return multicast + actions

    def _installed(
        self, token: int, ok: bool, now: float, moved: dict[str, Tunnel], actions: list[Action]
    ) -> None:
        """One of them: adds what to do, and the tunnels whose peers may be others now."""
        pending = self.pending.pop(token, None)
        if pending is None:
            return  # withdrawn: a purge came after the request
        self._asking.discard(pending.key)
        tunnel, verdict = pending.tunnel, pending.verdict
        if not ok:
            tunnel.counters[counters.NEIGHBOUR_REFUSED] += 1
            actions += self._refuse(tunnel, pending.request, verdict, CieCode.INSUFFICIENT_RESOURCES)
            return
        existing = tunnel.cache.at(pending.key[1])
        if existing is not pending.existing or (
            existing is None and not tunnel.cache.room_for(tunnel.config.name, verdict.nbma)
        ):
            stopped = self._overtaken(pending, existing, now)
            if stopped is not None:
                actions += stopped
                return
        self._accept(pending, existing, now, moved, actions)

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

    def _accept(
        self,
        pending: Pending,
        previous: Binding | None,
        now: float,
        moved: dict[str, Tunnel],
        actions: list[Action],
    ) -> None:
        """Bind, and say so."""
        tunnel, verdict = pending.tunnel, pending.verdict
        name, nbma = tunnel.config.name, verdict.nbma
        created: float | None = None
        if previous is not None and not previous.resolved:
            created = previous.created if (previous.interface, previous.nbma) == (name, nbma) else None
        kept = created is not None
        binding = Binding(
            name, verdict.protocol, nbma, now if created is None else created,
            unique=verdict.unique, holding_time_s=verdict.holding_time_s,
            expires=now + verdict.holding_time_s, request_id=pending.key[3], natted=pending.natted,
        )  # fmt: skip
        tunnel.cache.bind(binding)
        if previous is None and pending.existing is not None:
            # It ran out while the kernel was asked, and took the neighbour with it.
            actions.append(InstallNeighbour(name, verdict.protocol, nbma))
        if not kept:
            moved[name] = tunnel
            if previous is not None and previous.interface != name:  # from another tunnel of the domain
                moved[previous.interface] = self._tunnels[previous.interface]
                actions.append(RemoveNeighbour(previous.interface, previous.protocol))
        accepted = registered(actions, name)
        accepted.facts.append(told(binding, previous.nbma if previous is not None else None))
        accepted.replies.append(self._success(pending, binding))
        accepted.nbmas.append(nbma)
        if not kept:
            actions += self._purger.changed(tunnel.config.network_id, verdict.protocol, now)

    def _success(self, pending: Pending, binding: Binding) -> bytes:
        """The reply to an accepted request; the next one of its form is answered without decoding it."""
        tunnel, verdict, client = pending.tunnel, pending.verdict, pending.client
        if client is not None and client.form.server is tunnel.nbma:
            tunnel.counters[_REGISTRATION_SENT] += 1
            binding.client = client
            return client.answer(pending.key[3])
        request = pending.request
        reply = self._reply(tunnel, request, CieCode.SUCCESS, verdict.nbma).data
        if tunnel.config.owners is None:
            forms = self._forms[tunnel.name]
            binding.client = forms.remember(tunnel, request, verdict, pending.data, reply)
        return reply

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
        tokens = [token for token, each in self.pending.items()
                  if each.tunnel is tunnel and each.verdict.nbma == outer
                  and nhs.purges(purge, each.verdict.protocol, tunnel.config)]  # fmt: skip
        actions: list[Action] = []
        for token in tokens:
            pending = self.pending.pop(token)
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
