"""Who was told what, for as long as it holds: to be able to take it back (RFC 2332, section 6.2.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Generic, TypeVar

from dmvpn_lab.address import IpAddress
from dmvpn_lab.nhrp.tunnel import Tunnel

ASKERS_LIMIT = 1024
"""Stations noted for one answer at the most; one more is answered and not noted."""
TOTAL_LIMIT = 65536
"""Stations noted for all answers together."""

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Asker:
    """A station that holds an answer of ours."""

    tunnel: Tunnel
    nbma: IPv4Address
    """Where its question came from: its own address, or that of the server that passed it on."""
    until: float


class Askers(Generic[K]):
    """Stations by what they were told."""

    def __init__(self) -> None:
        self._askers: dict[K, dict[IpAddress, Asker]] = {}
        self._total = 0

    def __iter__(self) -> Iterator[K]:
        """What anybody was told."""
        return iter(self._askers)

    def note(self, told: K, station: IpAddress, asker: Asker, now: float) -> None:
        """A station was told something. Where there is no room, those go first whose answer is over."""
        askers = self._askers.get(told, {})
        new = station not in askers
        if new and self._total >= TOTAL_LIMIT:
            for each in tuple(self._askers):
                self._forget_old(each, now)
        if new and len(askers) >= ASKERS_LIMIT:
            self._forget_old(told, now)
        if new and (len(askers) >= ASKERS_LIMIT or self._total >= TOTAL_LIMIT):
            return
        self._total += new
        self._askers.setdefault(told, askers)[station] = asker

    def take(self, told: K, now: float) -> list[tuple[IpAddress, Asker]]:
        """Forget an answer; those who hold it still."""
        askers = self._askers.pop(told, None)
        if askers is None:
            return []
        self._total -= len(askers)
        return [(station, asker) for station, asker in askers.items() if now < asker.until]

    def _forget_old(self, told: K, now: float) -> None:
        askers = self._askers[told]
        for station in [station for station, asker in askers.items() if asker.until <= now]:
            del askers[station]
            self._total -= 1
        if not askers:
            del self._askers[told]
