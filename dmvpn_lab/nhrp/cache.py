"""The NHRP cache of one domain: which NBMA address has a protocol address, and how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from dmvpn_lab.nhrp.config import CACHE_LIMIT


@dataclass(frozen=True, slots=True)
class Binding:
    """One entry."""

    interface: str
    protocol: IPv4Address
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


class Cache:
    """Bindings by protocol address. A static one is never displaced by a dynamic one."""

    def __init__(self, limit: int = CACHE_LIMIT) -> None:
        self._bindings: dict[IPv4Address, Binding] = {}
        self._limit = limit
        self._registered: dict[str, dict[IPv4Address, int]] = {}
        self._next_expiry: float | None = None

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._bindings.values())

    def __len__(self) -> int:
        return len(self._bindings)

    def get(self, protocol: IPv4Address) -> Binding | None:
        """The binding of that address."""
        return self._bindings.get(protocol)

    @property
    def full(self) -> bool:
        """Whether one more address would be over the limit."""
        return len(self._bindings) >= self._limit

    def registered(self, interface: str) -> dict[IPv4Address, int]:
        """The NBMA addresses of a tunnel's dynamic bindings, each with how many it has.

        Kept up to date and not counted anew: a hub asks at each of thousands of registrations.
        """
        return self._registered.setdefault(interface, {})

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

    def remove(self, protocol: IPv4Address) -> Binding | None:
        """Forget an address; returns what was there."""
        gone = self._bindings.pop(protocol, None)
        if gone is not None:
            self._count(gone, -1)
        return gone

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

    def _count(self, binding: Binding, change: int) -> None:
        if binding.static:
            return
        counts = self.registered(binding.interface)
        count = counts.get(binding.nbma, 0) + change
        if count:
            counts[binding.nbma] = count
        else:
            del counts[binding.nbma]
