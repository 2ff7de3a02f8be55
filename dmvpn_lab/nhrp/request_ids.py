"""Request IDs of one router: each is used once, and they only grow (RFC 2332, section 5.2.0.1)."""

from __future__ import annotations

ID_MASK = 0xFFFFFFFF


class RequestIds:
    """The counter that all requests of an agent share."""

    def __init__(self, last: int) -> None:
        self.last = last
        """The one that was used last."""

    def next(self) -> int:
        """One that was never used."""
        self.last = (self.last + 1) & ID_MASK
        return self.last
