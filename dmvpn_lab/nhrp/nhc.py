"""The next hop client: registers one tunnel with one next hop server (RFC 2332, section 5.2.3).

Retransmits with a doubling, jittered delay under the same request ID; renews at a third of the
holding time under a new one. Never gives up: a hub may come back at any time.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address

from dmvpn_lab.address import IpAddress

FIRST_RETRANSMIT_S = 1.0
LAST_RETRANSMIT_S = 64.0
JITTER = 0.2
"""Each delay is multiplied by 1 - JITTER to 1 + JITTER."""
TRIES_TO_REPORT = 3
"""After so many unanswered sends of one request, subscribers are told."""


class State(Enum):
    """Where a registration stands; the values are what `show` prints."""

    WAITING = "waiting"
    """The tunnel has no source address, or no IPsec SA with the server."""
    REGISTERING = "registering"
    REGISTERED = "registered"
    RENEWING = "renewing"
    REFUSED = "refused"


class Event(Enum):
    """What can happen to a registration."""

    SOURCE = "tunnel up, its source address changed, or an IPsec SA came"
    LOST = "tunnel down, or its IPsec SA gone"
    TIMER = "the timer ran out"
    SUCCESS = "the server answered Success"
    NAK = "the server refused"
    EXPIRED = "the holding time of the last success is over"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.WAITING, Event.SOURCE): State.REGISTERING,
    (State.WAITING, Event.LOST): State.WAITING,
    (State.REGISTERING, Event.SOURCE): State.REGISTERING,
    (State.REGISTERING, Event.LOST): State.WAITING,
    (State.REGISTERING, Event.TIMER): State.REGISTERING,
    (State.REGISTERING, Event.SUCCESS): State.REGISTERED,
    (State.REGISTERING, Event.NAK): State.REFUSED,
    (State.REGISTERED, Event.SOURCE): State.REGISTERING,
    (State.REGISTERED, Event.LOST): State.WAITING,
    (State.REGISTERED, Event.TIMER): State.RENEWING,
    (State.RENEWING, Event.SOURCE): State.REGISTERING,
    (State.RENEWING, Event.LOST): State.WAITING,
    (State.RENEWING, Event.TIMER): State.RENEWING,
    (State.RENEWING, Event.SUCCESS): State.REGISTERED,
    (State.RENEWING, Event.NAK): State.REFUSED,
    (State.RENEWING, Event.EXPIRED): State.REGISTERING,
    (State.REFUSED, Event.SOURCE): State.REGISTERING,
    (State.REFUSED, Event.LOST): State.WAITING,
    (State.REFUSED, Event.TIMER): State.REGISTERING,
}
"""The rules: a pair that is not here cannot happen, and raises."""

OUTSTANDING = frozenset({State.REGISTERING, State.RENEWING})
"""States in which a reply is expected."""


@dataclass(slots=True)
class Registration:
    """One tunnel's registration with one server."""

    nhs: IpAddress
    state: State = State.WAITING
    request_id: int = 0
    tries: int = 0
    """Sends of the present request."""
    due: float | None = None
    """When the timer runs out, monotonic seconds."""
    valid_until: float | None = None
    """End of the holding time of the last success."""
    nbma: IPv4Address | None = None
    """The source address that the present request names."""
    refusals: int = 0
    """Refusals in a row, since the last success or source address."""
    requests_sent: int = 0
    requests_failed: int = 0
    replies_received: int = 0
    replied: float | None = None
    """When the server answered last, monotonic seconds."""
    last_error: str | None = field(default=None)

    @property
    def answering(self) -> bool:
        """The server has us, and has not left several requests without an answer."""
        renewing = self.state is State.RENEWING and self.tries < TRIES_TO_REPORT
        return self.state is State.REGISTERED or renewing

    def move(self, event: Event) -> None:
        """Change state by the table; KeyError for a pair that it does not list."""
        self.state = TRANSITIONS[self.state, event]

    def begin(self, request_id: int) -> None:
        """A new request."""
        self.request_id = request_id
        self.tries = 0

    def sent(self, now: float, rng: random.Random) -> None:
        """The present request was sent (again): set the timer for its retransmission."""
        self.requests_sent += 1
        self.tries += 1
        self.due = now + retransmit_delay(self.tries, rng)

    def succeeded(self, now: float, holding_time_s: float, renewal_s: float) -> None:
        """The server has it: set the timer for the renewal."""
        self.move(Event.SUCCESS)
        self.replies_received += 1
        self.replied = now
        self.refusals = 0
        self.last_error = None
        self.valid_until = now + holding_time_s
        self.due = now + renewal_s

    def refused(self, now: float, why: str, rng: random.Random) -> None:
        """The server refused: try again later, each time later."""
        self.move(Event.NAK)
        self.replies_received += 1
        self.replied = now
        self.requests_failed += 1
        self.refusals += 1
        self.last_error = why
        self.valid_until = None
        self.due = now + retransmit_delay(self.refusals + 2, rng)

    def stop(self) -> None:
        """The tunnel has no source address, or no SA with the server, any more."""
        self.move(Event.LOST)
        self.due = None
        self.valid_until = None
        self.nbma = None


def retransmit_delay(tries: int, rng: random.Random) -> float:
    """Seconds to wait after the `tries`-th send: 1, 2, 4 ... 64, jittered."""
    delay = min(FIRST_RETRANSMIT_S * 2 ** min(tries - 1, 16), LAST_RETRANSMIT_S)
    return float(delay * rng.uniform(1 - JITTER, 1 + JITTER))
