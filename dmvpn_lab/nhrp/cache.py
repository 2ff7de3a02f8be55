"""The NHRP cache of one domain: which NBMA address has a protocol address, and how long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.config import CACHE_LIMIT, PEER_LIMIT


@dataclass(frozen=True, slots=True)
class Binding:
    """One entry."""

    interface: str
    protocol: IpAddress
    nbma: IPv4Address
    created: float
    """Monotonic seconds."""
    static: bool = False
    nhs: bool = False
    """The address is one of our next hop servers."""
    unique: bool = False
    holding_time_s: int | None = None
    expires: float | None = None
    """Monotonic seconds; None for a static entry."""
    request_id: int = 0
    """Of the request that it was registered with."""
    resolved: bool = False
    """A server told it; not registered here."""
    natted: bool = False
    """Its owner is behind a NAT, and `nbma` is the address outside."""

    def ended(self, now: float) -> bool:
        """Whether its holding time is over."""
        return self.expires is not None and self.expires <= now


class Cache:
    """Bindings by protocol address. A static one is never displaced by a dynamic one.

    It also notes what changed, so that those who follow it (the multicast sets, the state file)
    pay for a change and not for the whole.
    """

    def __init__(self, limit: int = CACHE_LIMIT) -> None:
        self._bindings: dict[IpAddress, Binding] = {}
        self._limit = limit
        self._next_expiry: float | None = None
        self._peers: defaultdict[str, dict[IPv4Address, int]] = defaultdict(dict)
        """Interface -> NBMA address -> how many registered bindings lead there."""
        self._moved: defaultdict[str, dict[IPv4Address, None]] = defaultdict(dict)
        """Interface -> NBMA addresses that came into `_peers` or left it, in order."""
        self._changed: dict[IpAddress, None] = {}
        """Addresses whose dynamic binding is another one, or gone."""
        self._renewed: dict[IpAddress, Binding] = {}
        """Bindings that are the same but for their end and their request ID."""

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._bindings.values())

    def __len__(self) -> int:
        return len(self._bindings)

    def get(self, protocol: IpAddress) -> Binding | None:
        """The binding of that address."""
        return self._bindings.get(protocol)

    @property
    def full(self) -> bool:
        """Whether one more address would be over the limit."""
        return len(self._bindings) >= self._limit

    def room_for(self, interface: str, nbma: IPv4Address) -> bool:
        """Whether that peer may register one more address."""
        return not self.full and self._peers[interface].get(nbma, 0) < PEER_LIMIT

    def bind(self, binding: Binding) -> Binding | None:
        """Add or replace; returns what was there before."""
        previous = self._bindings.get(binding.protocol)
        self._bindings[binding.protocol] = binding
        self._count(binding, 1)
        if previous is not None:
            self._count(previous, -1)
        if binding.expires is not None:
            sooner = self._next_expiry is None or binding.expires < self._next_expiry
            self._next_expiry = binding.expires if sooner else self._next_expiry
        return previous

    def renew(self, binding: Binding) -> None:
        """Put a binding in its own place: the same but for a later end and another request ID.

        A hub does little else; who follows the peers has nothing to hear of it.
        """
        self._bindings[binding.protocol] = self._renewed[binding.protocol] = binding

    def remove(self, protocol: IpAddress) -> Binding | None:
        """Forget an address; returns what was there."""
        binding = self._bindings.pop(protocol, None)
        if binding is not None:
            self._count(binding, -1)
        return binding

    def expire(self, now: float) -> list[Binding]:
        """Remove and return what has run out, oldest first."""
        if self._next_expiry is None or now < self._next_expiry:
            return []
        gone = [b for b in self if b.expires is not None and b.expires <= now]
        for binding in gone:
            self.remove(binding.protocol)
        left = [b.expires for b in self if b.expires is not None]
        self._next_expiry = min(left, default=None)
        return sorted(gone, key=lambda b: b.expires or 0.0)

    def deadline(self) -> float | None:
        """When `expire` should be called next; never later than the first expiry."""
        return self._next_expiry

    # --- for those who follow it ------------------------------------------------------------------

    def is_peer(self, interface: str, nbma: IPv4Address) -> bool:
        """Whether somebody at that NBMA address is registered on a tunnel."""
        return nbma in self._peers[interface]

    def take_moved(self, interface: str) -> list[IPv4Address]:
        """NBMA addresses about which `is_peer` may say something else than at the last call."""
        return list(self._moved.pop(interface, ()))

    def take_changed(self) -> list[tuple[IpAddress, Binding | None]]:
        """Addresses whose dynamic binding changed since the last call; None: it is gone."""
        changed, self._changed = self._changed, {}
        found = ((protocol, self._bindings.get(protocol)) for protocol in changed)
        return [(protocol, None if b is None or b.static else b) for protocol, b in found]

    def take_renewed(self) -> list[Binding]:
        """Bindings that were only renewed since the last call. To be called before `take_changed`."""
        renewed, self._renewed = self._renewed, {}
        if not self._changed:
            return list(renewed.values())
        return [binding for protocol, binding in renewed.items() if protocol not in self._changed]

    def _count(self, binding: Binding, change: int) -> None:
        if binding.static:
            return
        self._changed[binding.protocol] = None
        if binding.resolved:
            return
        peers, nbma = self._peers[binding.interface], binding.nbma
        before = peers.get(nbma, 0)
        if before and before + change:
            peers[nbma] = before + change
            return
        if before:
            del peers[nbma]
        else:
            peers[nbma] = change
        self._moved[binding.interface][nbma] = None
