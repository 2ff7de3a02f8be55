"""The NHRP cache of one domain: which NBMA address has a protocol address, and how long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.config import CACHE_LIMIT, PEER_LIMIT

if TYPE_CHECKING:
    from dmvpn_lab.nhrp.form import Client


@dataclass(slots=True)
class Binding:
    """One entry. Only its end and its request ID change, with a renewal.

    Not frozen: that would be four times as much work to make.
    """

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
    octets: bytes = field(init=False, repr=False, compare=False)
    """The protocol address: they are hashed ten times as fast."""

    client: Client | None = field(default=None, repr=False, compare=False)
    """Whose request made it, if that had a form (form.py)."""

    def __post_init__(self) -> None:
        self.octets = self.protocol.packed

    def ended(self, now: float) -> bool:
        """Whether its holding time is over."""
        return self.expires is not None and self.expires <= now


Renewed = tuple[float, list[Binding]]
"""When bindings end now (monotonic seconds) that are else what they were. Their addresses are alike long."""


class Cache:
    """Bindings by protocol address. A static one is never displaced by a dynamic one.

    It also notes what changed, so that those who follow it (the multicast sets, the state file)
    pay for a change and not for the whole.
    """

    def __init__(self, limit: int = CACHE_LIMIT) -> None:
        self._bindings: dict[bytes, Binding] = {}
        self.at = self._bindings.get
        """The binding of the address with these octets. No method: that would take four times as long."""
        self._limit = limit
        self._next_expiry: float | None = None
        self._peers: defaultdict[str, dict[IPv4Address, int]] = defaultdict(dict)
        """Interface -> NBMA address -> how many registered bindings lead there."""
        self._moved: defaultdict[str, dict[IPv4Address, None]] = defaultdict(dict)
        """Interface -> NBMA addresses that came into `_peers` or left it, in order."""
        self._changed: dict[bytes, IpAddress] = {}
        """Addresses whose dynamic binding is another one, or gone."""
        self._renewed: list[Renewed] = []

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._bindings.values())

    def __len__(self) -> int:
        return len(self._bindings)

    def get(self, protocol: IpAddress) -> Binding | None:
        """The binding of that address."""
        return self._bindings.get(protocol.packed)

    @property
    def full(self) -> bool:
        """Whether one more address would be over the limit."""
        return len(self._bindings) >= self._limit

    def room_for(self, interface: str, nbma: IPv4Address) -> bool:
        """Whether that peer may register one more address."""
        return len(self._bindings) < self._limit and self._peers[interface].get(nbma, 0) < PEER_LIMIT

    def bind(self, binding: Binding) -> Binding | None:
        """Add or replace; returns what was there before."""
        previous = self._bindings.get(binding.octets)
        self._bindings[binding.octets] = binding
        self._count(binding, 1)
        if previous is not None:
            self._count(previous, -1)
        if binding.expires is not None:
            sooner = self._next_expiry is None or binding.expires < self._next_expiry
            self._next_expiry = binding.expires if sooner else self._next_expiry
        return previous

    def renewed(self, expires: float, bindings: list[Binding]) -> None:
        """Bindings that are here, with addresses of one length, have that end and other request IDs now.

        A hub does little else; who follows the peers has nothing to hear of it.
        """
        self._renewed.append((expires, bindings))

    def remove(self, protocol: IpAddress) -> Binding | None:
        """Forget an address; returns what was there."""
        binding = self._bindings.pop(protocol.packed, None)
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

    def peers(self, interface: str) -> Collection[IPv4Address]:
        """NBMA addresses at which somebody is registered on a tunnel."""
        return self._peers[interface].keys()

    def is_peer(self, interface: str, nbma: IPv4Address) -> bool:
        """Whether somebody at that NBMA address is registered on a tunnel."""
        return nbma in self._peers[interface]

    def take_moved(self, interface: str) -> list[IPv4Address]:
        """NBMA addresses about which `is_peer` may say something else than at the last call."""
        return list(self._moved.pop(interface, ()))

    def take_changed(self) -> list[tuple[IpAddress, Binding | None]]:
        """Addresses whose dynamic binding changed since the last call; None: it is gone."""
        if not self._changed:
            return []
        changed, self._changed = self._changed, {}
        found = ((protocol, self._bindings.get(octets)) for octets, protocol in changed.items())
        return [(protocol, None if b is None or b.static else b) for protocol, b in found]

    def take_renewed(self) -> list[Renewed]:
        """Bindings that were only renewed since the last call. To be called before `take_changed`."""
        renewed, self._renewed = self._renewed, []
        if renewed and self._changed:
            return [(expires, [each for each in bindings if each.octets not in self._changed])
                    for expires, bindings in renewed]  # fmt: skip
        return renewed

    def _count(self, binding: Binding, change: int) -> None:
        if binding.static:
            return
        self._changed[binding.octets] = binding.protocol
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
