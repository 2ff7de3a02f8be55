"""What a router said to be behind it, and to whom: the answer ends with the route that it came from.

RFC 2332, section 5.2.5: whoever answered for what is not on the NBMA network itself purges it when
the way there may be another one. The purge goes the way that the question came by, so through the
servers that passed it on.
"""

from __future__ import annotations

from dataclasses import dataclass

from dmvpn_lab.address import IpAddress, IpNetwork
from dmvpn_lab.nhrp.actions import Action
from dmvpn_lab.nhrp.askers import Asker, Askers
from dmvpn_lab.nhrp.purger import Purger
from dmvpn_lab.nhrp.route import Route
from dmvpn_lab.nhrp.tunnel import Tunnel

LIMIT = 1024
"""Prefixes that are remembered at the most: each is looked up whenever routes change."""

Key = tuple[str, IpNetwork]
"""Tunnel that the question came by, and prefix of the answer."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that somebody has."""

    tunnel: Tunnel
    prefix: IpNetwork
    wanted: IpAddress
    """What was asked for when it was first given: it stands for the prefix."""

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.tunnel.name, self.prefix


class Behind:
    """Takes back what was said of a LAN that has gone."""

    def __init__(self, purger: Purger) -> None:
        self._purger = purger
        self._told: dict[Key, Told] = {}
        self._askers: Askers[Key] = Askers()

    def answered(self, told: Told, station: IpAddress, asker: Asker, now: float) -> None:
        """A station was told that a prefix is behind us."""
        if told.key not in self._told and len(self._told) >= LIMIT:
            return
        self._told.setdefault(told.key, told)
        self._askers.note(told.key, station, asker, now)

    def to_look_at(self) -> list[Told]:
        """Answers whose route may have changed; those that nobody has any more are forgotten."""
        kept = set(self._askers)
        self._told = {key: told for key, told in self._told.items() if key in kept}
        return list(self._told.values())

    def looked(self, told: Told, route: Route | None, now: float) -> list[Action]:
        """What the routing table says now: `route`, if it still leads behind us."""
        if route is not None and route.prefix == told.prefix:
            return []
        return self._take_back(told, now)

    def moved(self, tunnel: Tunnel, now: float) -> list[Action]:
        """A tunnel has another NBMA address than the one that was told."""
        return [action for told in tuple(self._told.values()) if told.tunnel.name == tunnel.name
                for action in self._take_back(told, now)]  # fmt: skip

    def leave(self, now: float) -> list[Action]:
        """The router goes for good."""
        return [action for told in tuple(self._told.values())
                for action in self._take_back(told, now, final=True)]  # fmt: skip

    def _take_back(self, told: Told, now: float, *, final: bool = False) -> list[Action]:
        self._told.pop(told.key, None)
        actions: list[Action] = []
        for station, asker in self._askers.take(told.key, now):
            actions += self._purger.take_back(told.prefix, station, asker, now, final=final)
        return actions
