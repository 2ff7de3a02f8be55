"""The core of tunnel protection: one SA pair with each peer that the tunnels talk to.

    source_changed  peers_changed  connected  disconnected  child_up  child_down  rekeyed
    ike_up  ike_rekeyed  ike_down  states_deleted  counted  tick
                                               -> list[Action], to be carried out in order

Peers that the tunnels must reach are initiated, and again whenever their last SA is gone: nothing
waits for a holding time. Peers that come by themselves (a hub's spokes) are only watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from dmvpn_lab.ipsec import connection
from dmvpn_lab.ipsec.actions import Action, Ask, Count, DeleteStates, PeerLost, PeerSecured, StateId, Tell
from dmvpn_lab.ipsec.config import IpsecConfig
from dmvpn_lab.ipsec.linger import Linger
from dmvpn_lab.ipsec.sa import ChildSa
from dmvpn_lab.ipsec.twins import Twins

RETRY_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""After failure 1, 2 ... of a negotiation."""
PATIENCE_S = 20.0
"""A negotiation that says nothing so long is asked for again; charon takes the second as the first."""
SUSPICION_S = 0.05
"""A state that vanished from the kernel so long without charon's word was taken by somebody else."""
REAP_S = 15.0
"""States of an earlier charon may carry their peers' traffic so long; then they are deleted."""
CALL_BACK_S, COME_S = 30.0, 1.5
"""A charon that restarts calls peers back that left so shortly before, and do not come in so long."""
DEFER_S = 1.0
"""Of two ends that may both begin, the one with the higher address lets the other begin for so long."""
SETTLE_S = 0.5
"""Who answered is ready before who asked: it looks so often whether the peer sends in the SA already."""
SETTLE_LIMIT_S = 5.0
"""A peer that has nothing to send by itself is taken for ready after so long."""
CONFLICT_S = 3.0
"""Two identities at one address so long are no address on its way from one to the other."""


@dataclass(slots=True)
class Wish:
    """A peer that must be secured, and what was tried."""

    failures: int = 0
    due: float | None = None
    """When to initiate (again), monotonic seconds; None while it is secured."""


@dataclass(slots=True)
class Settling:
    """A peer that may not be ready for packets yet."""

    due: float
    """When to look whether it sends, monotonic seconds."""
    until: float
    """When it is taken for ready."""


class Protector:
    """The SAs of one router."""

    def __init__(self, config: IpsecConfig) -> None:
        self._config = config
        self.local: IPv4Address | None = None
        self.children: dict[int, ChildSa] = {}
        """Live ones, by charon's number."""
        self._wishes: dict[IPv4Address, Wish] = {}
        self._on_demand: frozenset[IPv4Address] = frozenset()
        """Peers that can wait: packets go through a server meanwhile."""
        self._settling: dict[IPv4Address, Settling] = {}
        """Peers that began: packets to them go on by the server, that none comes too early."""
        self._loaded = False
        """charon answers and has our connections."""
        self._secured: dict[tuple[IPv4Address, IPv4Address], str] = {}
        self._left: dict[IPv4Address, tuple[str, float]] = {}
        self._left_due: float | None = None
        """Peers that had come by themselves and were lost: identity, and when."""
        self._stale: frozenset[StateId] = frozenset()
        self._reap_due: float | None = None
        self._established: set[str] = set()
        """IKE SAs that came up, by charon's unique id."""
        self._suspects: dict[int, float] = {}
        self._conflicts: dict[IPv4Address, float] = {}
        self._linger = Linger()
        self._twins = Twins(config.identity)

    # --- what the tunnels want ------------------------------------------------------------------

    def source_changed(self, local: IPv4Address | None, now: float) -> list[Action]:
        """Every SA's local address is another one now, or has gone."""
        if local == self.local:
            return []
        self.local = local
        self._secured = {pair: who for pair, who in self._secured.items() if pair[0] == local}
        if not self._loaded:
            return []
        # What is left of the old address cannot be told to the peer from there: forget it at once.
        actions: list[Action] = [
            Ask("terminate", connection.terminate(peer)) for peer in (*self._wishes, *self._linger.peers())
        ]
        self._linger = Linger()
        return actions + self._load(now)

    def peers_changed(
        self, peers: frozenset[IPv4Address], now: float, on_demand: frozenset[IPv4Address] = frozenset()
    ) -> list[Action]:
        """The NBMA addresses that the tunnels must reach, from static maps and the NHRP cache."""
        self._on_demand = on_demand
        actions: list[Action] = []
        for gone in self._wishes.keys() - peers:
            del self._wishes[gone]
            if self._loaded:
                actions += self._end(gone, now)
        for new in sorted(peers - self._wishes.keys()):
            self._wishes[new] = Wish()
            self._linger.forget(new)
            if self._loaded and self.local is not None:
                actions += self._begin(self.local, new, now)
        return actions

    # --- what charon says -----------------------------------------------------------------------

    def connected(self, children: Iterable[ChildSa], states: frozenset[StateId], now: float) -> list[Action]:
        """charon answers: these SAs it has, and these states the kernel has. Tell it everything."""
        self._loaded = True
        self.children = {child.number: child for child in children}
        known = {spi for child in self.children.values() for spi in child.spis}
        self._stale = frozenset(state for state in states if state.spi not in known)
        self._reap_due = now + REAP_S if self._stale else None
        actions: list[Action] = [Ask("load-shared", connection.secret(number, each))
                                 for number, each in enumerate(self._config.secrets)]  # fmt: skip
        for child in self.children.values():
            actions += self._tell_secured(child)
        return [*actions, *self._load(now), *self._call_back(now)]

    def disconnected(self) -> None:
        """charon is gone. Its states may still carry traffic, so nobody is lost yet."""
        self._loaded = False
        self.children = {}
        self._suspects = {}
        self._linger = Linger()
        self._established = set()
        self._left_due = None
        for wish in self._wishes.values():
            wish.due = None

    def child_up(self, child: ChildSa, now: float) -> list[Action]:
        """Phase 2 is finished."""
        self.children[child.number] = child
        if child.local != self.local:
            return []
        self._left.pop(child.peer, None)
        if child.peer in self._wishes:
            self._wishes[child.peer] = Wish()
        if len(self._identities(child.peer)) > 1:
            self._conflicts.setdefault(child.peer, now + CONFLICT_S)
        actions: list[Action] = [Tell("ipsec-up", facts(child))]
        if child.initiated or child.peer not in self._on_demand:
            actions += self._tell_secured(child, fresh=True)
        else:
            self._settling.setdefault(child.peer, Settling(now + SETTLE_S, now + SETTLE_LIMIT_S))
        self._twins.look(self._with(child.peer), now)
        return actions + self._reap(child.peer)

    def child_down(self, number: int, now: float) -> list[Action]:
        """A child is gone, by whosever wish."""
        self._suspects.pop(number, None)
        child = self.children.pop(number, None)
        if child is None or child.local != self.local:
            return []
        left = self._with(child.peer)
        if left:
            return self._tell_secured(left[-1])
        self._secured.pop((child.local, child.peer), None)
        self._settling.pop(child.peer, None)
        self._linger.forget(child.peer)
        actions: list[Action] = [PeerLost(child.local, child.peer), Tell("ipsec-down", facts(child))]
        if child.peer not in self._wishes:
            self._left[child.peer] = (child.identity, now)
        elif self._loaded:
            actions += self._seek(child.peer, now)
        return actions

    def rekeyed(self, old: int, child: ChildSa) -> list[Action]:
        """A child follows another without a gap."""
        self._suspects.pop(old, None)
        self.children.pop(old, None)
        self.children[child.number] = child
        return [Tell("ipsec-rekeyed", facts(child))] if child.local == self.local else []

    def ike_up(self, ike: str) -> None:
        """An IKE SA is established."""
        self._established.add(ike)

    def ike_rekeyed(self, old: str, new: str) -> None:
        """An IKE SA follows another, and takes its children with it."""
        self._established.discard(old)
        self._established.add(new)
        for number, child in self.children.items():
            if child.ike_id == old:
                self.children[number] = replace(child, ike_id=new)

    def ike_down(self, ike: str, name: str, now: float) -> list[Action]:
        """An IKE SA of a connection has ended; one that was never up is a negotiation that failed."""
        peer = connection.peer_of(name)
        wish = self._wishes.get(peer) if peer is not None else None
        if ike in self._established:
            self._established.discard(ike)
            return []
        if peer is None or wish is None or self.local is None or self._with(peer):
            return []
        wish.due = now + RETRY_S[min(wish.failures, len(RETRY_S) - 1)]
        wish.failures += 1
        told = {"nbma": str(peer), "failures": wish.failures}
        return [Tell("ipsec-failed", told)]

    # --- what the kernel says -------------------------------------------------------------------

    def states_deleted(self, spis: frozenset[int] | None, now: float) -> None:
        """ESP states are gone from the kernel; None: all of them. charon may be about to say why."""
        for number, child in self.children.items():
            if spis is None or not spis.isdisjoint(child.spis):
                self._suspects.setdefault(number, now + SUSPICION_S)

    def counted(self, packets: Mapping[IPv4Address, int], now: float) -> list[Action]:
        """So many packets were received of each of these peers: what settles is ready, what lingers ends."""
        actions: list[Action] = []
        for peer in packets.keys() & self._settling.keys():
            if packets[peer] or self._settling[peer].until <= now:
                del self._settling[peer]
                for child in self._with(peer)[-1:]:
                    actions += self._tell_secured(child)
        for peer in self._linger.counted(packets):
            self._linger.forget(peer)
            ours = sorted({child.ike_id for child in self._with(peer) if child.initiated})
            actions += [Ask("terminate", connection.terminate_ike(ike_id)) for ike_id in ours]
        return actions

    # --- time -----------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """When `tick` is due, monotonic seconds; None when nothing is."""
        due = [*self._suspects.values(), *self._conflicts.values()]
        due += [each.due for each in self._settling.values()]
        due += [wish.due for wish in self._wishes.values() if wish.due is not None]
        due += [at for at in (self._reap_due, self._left_due, self._linger.deadline(), self._twins.deadline())
                if at is not None]  # fmt: skip
        return min(due, default=None)

    def tick(self, now: float) -> list[Action]:
        """Do what is due."""
        actions: list[Action] = []
        for number in [number for number, due in self._suspects.items() if due <= now]:
            del self._suspects[number]
            if number in self.children:
                actions.append(Ask("terminate", connection.terminate_child(number)))
        for peer, wish in self._wishes.items():
            if wish.due is not None and wish.due <= now:
                actions += self._initiate(peer, now)
        for peer in [peer for peer, due in self._conflicts.items() if due <= now]:
            del self._conflicts[peer]
            identities = sorted(self._identities(peer))
            if len(identities) > 1:
                actions.append(Tell("ipsec-conflict", {"nbma": str(peer), "identities": identities}))
        for peer in self._twins.due(now):
            actions += self._twins.end(self._with(peer))
        if self._reap_due is not None and self._reap_due <= now:
            actions += self._reap(None)
        if self._left_due is not None and self._left_due <= now:
            actions += self._call_left(now)
        if asked := self._linger.look(now) | self._settle_look(now):
            actions.append(Count(asked))
        return actions

    def secured(self) -> list[PeerSecured]:
        """Every peer that is secured from the present address."""
        return [PeerSecured(*pair, identity) for pair, identity in self._secured.items()]

    # --- helpers --------------------------------------------------------------------------------

    def _load(self, now: float) -> list[Action]:
        """Connections from the present address, and initiate what is not there."""
        if self.local is None:
            return []
        actions: list[Action] = []
        if self._config.responds:
            actions.append(Ask("load-conn", connection.connection(self._config, self.local, None)))
        for peer in sorted(self._wishes):
            actions += self._begin(self.local, peer, now)
        return actions

    def _call_back(self, now: float) -> list[Action]:
        """Initiate to the peers that came by themselves to an earlier charon.

        They would notice by DPD only that their IKE SA is nobody's any more. Who was told that it ended
        comes by itself; if both ends began, charon's `unique` could end either pair.
        """
        self._left_due = now + COME_S if self._left else None
        return self._call({peer: who for (local, peer), who in self._secured.items() if local == self.local})

    def _call_left(self, now: float) -> list[Action]:
        """And those that did not come: they go on asking a charon that ended in the middle of its answer."""
        known = {peer: who for peer, (who, at) in self._left.items() if now - at < CALL_BACK_S}
        self._left, self._left_due = {}, None
        return self._call(known)

    def _call(self, known: Mapping[IPv4Address, str]) -> list[Action]:
        """Initiate to peers of these identities that are not there."""
        actions: list[Action] = []
        for peer, identity in sorted(known.items()):
            if self.local is not None and peer not in self._wishes and not self._with(peer):
                load = connection.connection(self._config, self.local, peer, identity)
                actions += [Ask("load-conn", load), Ask("initiate", connection.initiate(peer))]
        return actions

    def _begin(self, local: IPv4Address, peer: IPv4Address, now: float) -> list[Action]:
        self._wishes[peer] = Wish()
        mutual = peer in self._on_demand
        load = Ask("load-conn", connection.connection(self._config, local, peer, mutual=mutual))
        return [load] if self._with(peer) else [load, *self._seek(peer, now)]

    def _end(self, peer: IPv4Address, now: float) -> list[Action]:
        """A peer need not be secured any more. Its SAs linger; what it began itself it ends itself."""
        unload = Ask("unload-conn", {"name": connection.name_of(peer)})
        pairs = self._with(peer)
        if not pairs:  # a negotiation may be on its way
            return [Ask("terminate", connection.terminate(peer)), unload]
        if any(child.initiated for child in pairs):
            self._linger.begin(peer, now)
        return [unload]

    def _settle_look(self, now: float) -> frozenset[IPv4Address]:
        """The settling peers whose packets must be counted now."""
        looked = frozenset(peer for peer, each in self._settling.items() if each.due <= now)
        for peer in looked:
            self._settling[peer].due = now + SETTLE_S
        return looked

    def _seek(self, peer: IPv4Address, now: float) -> list[Action]:
        """Initiate, or let a peer begin that wants the same as we, so that there is one pair and not two."""
        if peer in self._on_demand and self.local is not None and self.local > peer:
            self._wishes[peer].due = now + DEFER_S
            return []
        return self._initiate(peer, now)

    def _initiate(self, peer: IPv4Address, now: float) -> list[Action]:
        if not self._loaded or self.local is None:
            return []
        self._wishes[peer].due = now + PATIENCE_S
        return [Ask("initiate", connection.initiate(peer))]

    def _with(self, peer: IPv4Address) -> list[ChildSa]:
        """Live children with a peer from the present address, the newest last."""
        found = [c for c in self.children.values() if c.local == self.local and c.peer == peer]
        return sorted(found, key=lambda child: child.number)

    def _identities(self, peer: IPv4Address) -> set[str]:
        return {child.identity for child in self._with(peer)}

    def _tell_secured(self, child: ChildSa, *, fresh: bool = False) -> list[Action]:
        pair = (child.local, child.peer)
        if child.local != self.local or (not fresh and self._secured.get(pair) == child.identity):
            return []
        self._secured[pair] = child.identity
        return [PeerSecured(child.local, child.peer, child.identity, fresh)]

    def _reap(self, peer: IPv4Address | None) -> list[Action]:
        """Delete states that an earlier charon left: of a peer that is secured anew, or all."""
        chosen = frozenset(s for s in self._stale if peer is None or peer in (s.source, s.destination))
        self._stale -= chosen
        if not self._stale:
            self._reap_due = None
        if not chosen:
            return []
        actions: list[Action] = [DeleteStates(chosen)]
        for state in chosen:
            pair = (state.destination, state.source)
            if pair in self._secured and not self._with(state.source):
                del self._secured[pair]
                actions.append(PeerLost(*pair))
        return actions


def facts(child: ChildSa) -> dict[str, object]:
    """What an event tells of a child."""
    return {
        "nbma": str(child.peer),
        "local": str(child.local),
        "identity": child.identity,
        "spi_in": f"{child.spi_in:08x}",
        "spi_out": f"{child.spi_out:08x}",
        "encapsulated": child.encapsulated,
    }
