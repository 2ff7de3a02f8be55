"""The asking half of next hop resolution (RFC 2332, sections 5.2.1 and 5.2.2), on demand.

The kernel asks for a neighbour when the first packet for it comes. Until the server has answered,
packets go to the server itself, so that none waits. The answer is kept for its holding time; it is
asked for again while the kernel says that it is used, and ends with its holding time when not.

    probe -> neighbour = the server; Resolution Request -> Reply -> neighbour = the peer

With a NAT in between, and where a peer was out of reach before (`alive.py`), the peer is asked, too, and
its own answer makes it the neighbour.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import Any

from dmvpn_lab.address import IpAddress, IpNetwork, network_of
from dmvpn_lab.nhrp import counters
from dmvpn_lab.nhrp.actions import Action, InstallNeighbour, Notify, RemoveNeighbour, SendPacket
from dmvpn_lab.nhrp.alive import Alive
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.cie import Cie
from dmvpn_lab.nhrp.constants import CieCode, PacketType, meaning
from dmvpn_lab.nhrp.nhc import retransmit_delay
from dmvpn_lab.nhrp.nhs import purges_of
from dmvpn_lab.nhrp.packet import Packet, encode
from dmvpn_lab.nhrp.question import Answer, Question, Trial, answer, answers, request
from dmvpn_lab.nhrp.request_ids import RequestIds
from dmvpn_lab.nhrp.shortcuts import Shortcuts
from dmvpn_lab.nhrp.timers import Timers
from dmvpn_lab.nhrp.tunnel import Tunnel

TRIES = 4
"""Sends of one question; they take about 15 s."""
REFUSED_S = 20.0
"""After a No, or no answer, packets go to the server for so long before it is asked again."""
USED_S = 120.0
"""A binding that was used so recently, at its renewal, is in use."""
RENEWAL_S = 60.0
"""A binding is asked for again so long before its end, at the latest; a third of the holding time."""
QUESTION_LIMIT = 1024
"""Questions of a router at the most; for one more packets go to the server, and nobody is asked."""

Key = tuple[str, IpAddress]
"""Interface and protocol address."""


class Resolver:
    """Asks for what the kernel misses; keeps what is used."""

    def __init__(self, rng: random.Random, ids: RequestIds, shortcuts: Shortcuts) -> None:
        self._rng = rng
        self._ids = ids
        self._questions: dict[Key, Question] = {}
        self._trials: dict[int, Question] = {}
        """Request ID of a trial -> the question whose answer is tried."""
        self._used: dict[Key, float] = {}
        """When the kernel last said that a resolved neighbour is used."""
        self._timers: Timers[Key] = Timers()
        self._shortcuts = shortcuts
        self._alive = Alive(rng, ids)

    # --- what the kernel wants ------------------------------------------------------------------

    def probed(self, tunnel: Tunnel, wanted: IpAddress, now: float) -> list[Action]:
        """The kernel has packets for an address: it misses the neighbour, or has used it."""
        binding = tunnel.cache.get(wanted)
        if binding is not None:
            if binding.interface != tunnel.name:
                return []
            self._used[tunnel.name, wanted] = now
            return [self.neighbour(tunnel, binding), *self._alive.used(tunnel, binding, now)]
        if not self._may_ask(tunnel, wanted):
            return []
        question = self._questions.get((tunnel.name, wanted))
        if question is not None:
            return [InstallNeighbour(tunnel.name, wanted, question.nbma, on_demand=True)]
        return self._begin(tunnel, wanted, now)

    def shorten(self, tunnel: Tunnel, wanted: IpAddress, parent: IpNetwork, now: float) -> list[Action]:
        """Ask who has an address that the hub has said to have a shorter way."""
        if (tunnel.name, wanted) in self._questions or tunnel.nbma is None:
            return []
        return self._begin(tunnel, wanted, now, parent)

    def _may_ask(self, tunnel: Tunnel, wanted: IpAddress) -> bool:
        config = tunnel.config
        network = config.address.network
        special = (network.network_address, network.broadcast_address, config.address.ip)
        return config.resolve and tunnel.nbma is not None and wanted in network and wanted not in special

    def _begin(
        self, tunnel: Tunnel, wanted: IpAddress, now: float, parent: IpNetwork | None = None
    ) -> list[Action]:
        """Ask, and let packets go to the server meanwhile."""
        server = tunnel.server()
        if server is None:
            return []
        nbma = tunnel.config.nbma_of(server)
        if nbma is None:
            return []
        actions: list[Action] = []
        if parent is None and tunnel.cache.get(wanted) is None:
            actions.append(InstallNeighbour(tunnel.name, wanted, nbma, on_demand=True))
        if len(self._questions) >= QUESTION_LIMIT:
            return actions
        question = Question(tunnel, wanted, server, nbma, self._ids.next(), now, parent=parent)
        self._questions[tunnel.name, wanted] = question
        return actions + self._send(question, now)

    # --- what the servers say -----------------------------------------------------------------------

    def reply(self, tunnel: Tunnel, packet: Packet, outer: IPv4Address, now: float) -> list[Action]:
        """A resolution reply. Only one that answers an outstanding question counts."""
        if self._alive.reply(packet, outer):
            return []
        tried = self._trials.get(packet.request_id)
        if tried is not None:
            return self._passed(tried, packet, outer, now)
        wanted = packet.destination_protocol
        question = self._questions.get((tunnel.name, wanted)) if tunnel.config.speaks(wanted) else None
        if question is None or not packet.cies or not answers(question, packet, outer):
            tunnel.counters[counters.UNKNOWN_REPLY] += 1
            return []
        found, code = answer(packet), packet.cies[0].code
        if code != CieCode.SUCCESS or found is None or not found.entry.holding_time_s:
            return self._refused(question, code or CieCode.NO_BINDING, now)
        # Two behind one NAT do not reach each other by its outside address.
        if tunnel.cache.full or found.nbma in (tunnel.nbma, tunnel.outside):
            return self._refused(question, CieCode.INSUFFICIENT_RESOURCES, now)
        doubtful = found.natted or tunnel.outside is not None or self._alive.is_lost(tunnel, found.nbma)
        if doubtful and not tunnel.config.protected:
            return self._try(question, found, now)
        return self._take(question, found, now)

    def _take(self, question: Question, found: Answer, now: float) -> list[Action]:
        """Use an answer."""
        if question.parent is not None:
            return self._shortened(question, question.parent, found.entry, found.nbma, now)
        return self._resolved(question, question.wanted, found.nbma, found.entry.holding_time_s, now)

    # --- the direct way through a NAT ---------------------------------------------------------------

    def _try(self, question: Question, found: Answer, now: float) -> list[Action]:
        """Ask the peer itself for its own address: that opens our NAT, and shows that its own is open."""
        via = question.wanted if question.parent is None else found.entry.protocol
        if not question.tunnel.config.speaks(via):
            return self._refused(question, CieCode.NO_BINDING, now)
        question.trial = Trial(found, via, self._ids.next())
        question.tries = 0
        self._trials[question.trial.request_id] = question
        return self._send_trial(question, question.trial, now)

    def _send_trial(self, question: Question, trial: Trial, now: float) -> list[Action]:
        tunnel = question.tunnel
        question.tries += 1
        self._timers.set((tunnel.name, question.wanted), now + retransmit_delay(question.tries, self._rng))
        tunnel.counters[counters.sent(PacketType.RESOLUTION_REQUEST)] += 1
        data = encode(request(tunnel, trial.via, trial.request_id))
        return [SendPacket(tunnel.name, trial.answer.nbma, data)]

    def _passed(self, question: Question, packet: Packet, outer: IPv4Address, now: float) -> list[Action]:
        """A reply to a trial: only the peer's own counts."""
        trial = question.trial
        ours = packet.source_protocol == question.tunnel.config.address.ip
        if trial is None or outer != trial.answer.nbma or not ours:
            question.tunnel.counters[counters.UNKNOWN_REPLY] += 1
            return []
        self._end_trial(question)
        self._alive.reached(question.tunnel, outer)
        return self._take(question, trial.answer, now)

    def _failed(self, question: Question, trial: Trial, now: float) -> list[Action]:
        """Nothing came back: packets go to the server for a while, and then it is asked again."""
        self._end_trial(question)
        question.refused = True
        self._timers.set((question.tunnel.name, question.wanted), now + REFUSED_S)
        facts = {"interface": question.tunnel.name, "protocol": str(trial.via),
                 "nbma": str(trial.answer.nbma), "tries": question.tries}  # fmt: skip
        return [Notify("no-direct-way", facts)]

    def _end_trial(self, question: Question) -> None:
        if question.trial is not None:
            self._trials.pop(question.trial.request_id, None)
            question.trial = None

    # --- what follows from an answer ------------------------------------------------------------------

    def _shortened(
        self, question: Question, parent: IpNetwork, entry: Cie, nbma: IPv4Address, now: float
    ) -> list[Action]:
        """A spoke has what was wanted: bind its tunnel address, and lead the prefix there."""
        tunnel, via = question.tunnel, entry.protocol
        if not tunnel.config.speaks(via) or not self._can_be_peer(tunnel, via):
            return self._refused(question, CieCode.NO_BINDING, now)
        if via in tunnel.config.nhs:
            return self._refused(question, CieCode.NO_BINDING, now)  # the way that it is already
        del self._questions[tunnel.name, question.wanted]
        self._timers.cancel((tunnel.name, question.wanted))
        actions = self._resolved(question, via, nbma, entry.holding_time_s, now)
        binding = tunnel.cache.get(via)
        if binding is None or binding.nbma != nbma:
            return actions
        added = self._shortcuts.add(tunnel, question.wanted, parent, entry.prefix_length, via, now)
        return actions + added

    def _can_be_peer(self, tunnel: Tunnel, via: IpAddress) -> bool:
        """Whether that may be another router's tunnel address: also one of another tunnel of the domain."""
        network = tunnel.config.address.network
        ours = via in (tunnel.config.address.ip, network.network_address, network.broadcast_address)
        return not (ours or via.is_multicast or via.is_unspecified or via.is_loopback or via.is_reserved)

    def _resolved(
        self, question: Question, wanted: IpAddress, nbma: IPv4Address, holding_time_s: int, now: float
    ) -> list[Action]:
        tunnel = question.tunnel
        key = (tunnel.name, wanted)
        self._questions.pop(key, None)
        previous = tunnel.cache.get(wanted)
        if previous is not None and not previous.resolved:
            self._timers.cancel(key)
            return []  # it registered here meanwhile
        same = previous is not None and previous.nbma == nbma
        binding = Binding(
            interface=tunnel.name,
            protocol=wanted,
            nbma=nbma,
            created=previous.created if previous is not None and same else now,
            resolved=True,
            holding_time_s=holding_time_s,
            expires=now + holding_time_s,
            request_id=question.request_id,
        )
        tunnel.cache.bind(binding)
        if previous is None:
            self._used[key] = now
        self._timers.set(key, now + holding_time_s - min(holding_time_s / 3, RENEWAL_S))
        facts: dict[str, Any] = {
            "interface": tunnel.name, "protocol": str(wanted), "nbma": str(nbma),
            "holding_time_s": holding_time_s, "previous_nbma": previous and str(previous.nbma),
            "asked_s_ago": round(now - question.asked, 3),
        }  # fmt: skip
        return [self.neighbour(tunnel, binding), Notify("resolved", facts)]

    def _refused(self, question: Question, code: int, now: float) -> list[Action]:
        """Packets go to the server for a while."""
        question.refused = True
        self._timers.set((question.tunnel.name, question.wanted), now + REFUSED_S)
        facts = {"interface": question.tunnel.name, "protocol": str(question.wanted),
                 "nhs": str(question.server), "code": int(code), "meaning": meaning(code)}  # fmt: skip
        return [Notify("resolution-refused", facts)]

    # --- time -----------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When `tick` is due."""
        first, second = self._timers.deadline(), self._alive.deadline()
        if first is None or second is None:
            return second if first is None else first
        return min(first, second)

    def out_of_reach(self, now: float) -> tuple[list[SendPacket], list[Key]]:
        """Ask peers in use again whether they are there; and those that are not any more."""
        return self._alive.tick(now)

    def tick(self, now: float, tunnels: dict[str, Tunnel]) -> list[Action]:
        """Ask again what is due."""
        actions: list[Action] = []
        for key in self._timers.expired(now):
            question = self._questions.get(key)
            if question is None:
                actions += self._renew(tunnels[key[0]].part(key[1]), key[1], now)
            elif question.refused:
                actions += self._forget(question)
            elif question.trial is not None and question.tries >= TRIES:
                actions += self._failed(question, question.trial, now)
            elif question.trial is not None:
                actions += self._send_trial(question, question.trial, now)
            elif question.tries >= TRIES:
                actions += self._unanswered(question, now)
            else:
                server = question.tunnel.server(question.server)
                nbma = None if server is None else question.tunnel.config.nbma_of(server)
                if server is not None and nbma is not None:
                    question.server, question.nbma = server, nbma
                actions += self._send(question, now)
        return actions

    def _renew(self, tunnel: Tunnel, protocol: IpAddress, now: float) -> list[Action]:
        """The end of a binding is near: ask again if it is used."""
        binding = tunnel.cache.get(protocol)
        if binding is None or not binding.resolved:
            return []
        idle_s = now - self._used.get((tunnel.name, protocol), 0.0)
        if idle_s > min(USED_S, (binding.holding_time_s or 0) * 2 / 3):
            return []
        return self._begin(tunnel, protocol, now)

    def _unanswered(self, question: Question, now: float) -> list[Action]:
        facts = {"interface": question.tunnel.name, "protocol": str(question.wanted),
                 "nhs": str(question.server), "tries": question.tries}  # fmt: skip
        question.refused = True
        self._timers.set((question.tunnel.name, question.wanted), now + REFUSED_S)
        return [Notify("resolution-timeout", facts)]

    def _forget(self, question: Question) -> list[Action]:
        """The next packet asks anew."""
        self._end_trial(question)
        del self._questions[question.tunnel.name, question.wanted]
        if question.parent is not None or question.tunnel.cache.get(question.wanted) is not None:
            return []
        return [RemoveNeighbour(question.tunnel.name, question.wanted)]

    # --- IPsec ------------------------------------------------------------------------------------

    def neighbour(self, tunnel: Tunnel, binding: Binding) -> InstallNeighbour:
        """The kernel's part of a binding; of a resolved one the kernel says when it is used.

        While there is no SA with the peer, packets go to the server, with which there is one.
        """
        nbma: IPv4Address | None = None
        if binding.resolved and not tunnel.may_send_to(binding.nbma):
            server = tunnel.server()
            nbma = None if server is None else tunnel.config.nbma_of(server)
        return InstallNeighbour(binding.interface, binding.protocol, nbma or binding.nbma,
                                on_demand=binding.resolved)  # fmt: skip

    def redirected(self, tunnel: Tunnel, peer: IPv4Address | None = None) -> list[Action]:
        """There is an SA with a peer (None: with any), or none any more: packets take another way."""
        return [self.neighbour(tunnel.part(b.protocol), b) for b in tunnel.cache
                if b.interface == tunnel.name and b.resolved and peer in (None, b.nbma)]  # fmt: skip

    # --- what ends --------------------------------------------------------------------------------

    def restored(self, binding: Binding, now: float) -> None:
        """An earlier agent resolved it."""
        holding_time_s = binding.holding_time_s or 0
        key = (binding.interface, binding.protocol)
        self._used[key] = now
        self._timers.set(key, max(now, (binding.expires or now) - min(holding_time_s / 3, RENEWAL_S)))

    def gone(self, binding: Binding) -> None:
        """A binding has run out, or was purged, or its peer is out of reach."""
        self._alive.gone(binding)
        key = (binding.interface, binding.protocol)
        self._used.pop(key, None)
        if key not in self._questions:
            self._timers.cancel(key)

    def purged(self, tunnel: Tunnel, purge: Packet, outer: IPv4Address, now: float) -> list[Action]:
        """An answer that is on its way may be older than a server's purge: ask anew, by another ID."""
        actions: list[Action] = []
        if not tunnel.config.is_server(outer):
            return []
        for (name, wanted), question in tuple(self._questions.items()):
            whole = network_of(wanted, wanted.max_prefixlen)
            if name == tunnel.name and not question.refused and purges_of(purge, whole, tunnel.config):
                self._end_trial(question)
                question.request_id = self._ids.next()
                actions += self._send(question, now)
        return actions

    def clear(self, tunnel: Tunnel) -> list[Action]:
        """Forget all questions of a tunnel, with the neighbours that lead to its servers."""
        asked = [question for (name, _), question in self._questions.items() if name == tunnel.name]
        actions: list[Action] = []
        for question in asked:
            self._timers.cancel((tunnel.name, question.wanted))
            actions += self._forget(question)
        return actions

    def _send(self, question: Question, now: float) -> list[Action]:
        tunnel = question.tunnel
        question.tries += 1
        self._timers.set((tunnel.name, question.wanted), now + retransmit_delay(question.tries, self._rng))
        tunnel.counters[counters.sent(PacketType.RESOLUTION_REQUEST)] += 1
        facts = {"interface": tunnel.name, "protocol": str(question.wanted), "nhs": str(question.server),
                 "request_id": question.request_id, "tries": question.tries}  # fmt: skip
        data = encode(request(tunnel, question.wanted, question.request_id))
        return [SendPacket(tunnel.name, question.nbma, data), Notify("resolution-sent", facts)]
