"""Who is logged in, and who has tried too often. Time is an argument; what is kept of a token is its hash."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

LIFETIME_S = 12 * 3600.0
FREE, FIRST_S, LONGEST_S = 5, 2.0, 300.0
"""Failures that cost nothing; the wait after the next one, which doubles with each; the longest."""
FORGOTTEN_S = 900.0
"""Failures are forgotten after so long without one."""
KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """One login."""

    name: str
    until: float


class Sessions:
    """All that are valid."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def begin(self, name: str, now: float) -> str:
        """The token of a new session."""
        self._sessions = {key: each for key, each in self._sessions.items() if each.until > now}
        token = secrets.token_urlsafe(32)
        self._sessions[_key(token)] = Session(name, now + LIFETIME_S)
        return token

    def find(self, token: str, now: float) -> Session | None:
        """The session of a token."""
        session = self._sessions.get(_key(token))
        return session if session is not None and session.until > now else None

    def end(self, token: str) -> None:
        """Log out."""
        self._sessions.pop(_key(token), None)


class Failures:
    """Failed logins under a key: each makes the next try wait longer."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, float]] = {}
        """Key -> how many, and when the last one was."""

    def wait_s(self, key: str, now: float) -> float:
        """How long nobody may try under this key; 0.0: now."""
        count = self._count(key, now)
        if count < FREE:
            return 0.0
        wait_s = min(LONGEST_S, FIRST_S * 2.0 ** (min(count, 20) - FREE))
        return max(0.0, self._failed[key][1] + wait_s - now)

    def failed(self, key: str, now: float) -> None:
        """One more."""
        if len(self._failed) > KEPT:
            self._failed = {k: each for k, each in self._failed.items() if now - each[1] < FORGOTTEN_S}
        self._failed[key] = (self._count(key, now) + 1, now)

    def succeeded(self, key: str) -> None:
        """The right password was told."""
        self._failed.pop(key, None)

    def _count(self, key: str, now: float) -> int:
        count, last = self._failed.get(key, (0, now))
        return count if now - last < FORGOTTEN_S else 0


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
