"""What a router sees on all its interfaces, in clear inside the tunnel: the order of its start.

One packet socket for the line and the tunnel, so all times are of one clock and one queue.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.live.line_watch import ESP, ETH_P_IP, IKE_PORT, UDP, LineWatch

ETH_P_NHRP = 0x2001
EIGRP = 88
PACKET_OUTGOING = 4
EIGRP_HEADER = 20
NHRP_TYPE_AT = 17
NHRP = {3: "registration request", 4: "registration reply"}
OPCODES = {1: "update", 5: "hello"}


@dataclass(frozen=True, slots=True)
class Sight:
    """One packet that came or went."""

    at: float
    """Wall clock."""
    what: str
    sent: bool


class RouterWatch(LineWatch):
    """A packet socket over all interfaces of a router."""

    def __init__(self, lab: str, router: str) -> None:
        self.sights: list[Sight] = []
        super().__init__(lab, router)

    def first(self, what: str, *, sent: bool) -> float:
        """When the first of that kind was seen. Raises AssertionError."""
        for sight in self.sights:
            if sight.what == what and sight.sent == sent:
                return sight.at
        raise AssertionError(f"no {what} was {'sent' if sent else 'received'}")

    def _take(self, data: bytes, at: float, protocol: int, kind: int) -> None:
        what = name_of(data, protocol)
        if what is not None:
            self.sights.append(Sight(at, what, kind == PACKET_OUTGOING))


def name_of(data: bytes, protocol: int) -> str | None:
    """What a packet is, if it belongs to the start."""
    if protocol == ETH_P_NHRP and len(data) > NHRP_TYPE_AT:
        return NHRP.get(data[NHRP_TYPE_AT])
    if protocol != ETH_P_IP:
        return None
    payload = data[(data[0] & 15) * 4 : int.from_bytes(data[2:4], "big")]
    if data[9] == ESP:
        return "esp"
    if data[9] == UDP and int.from_bytes(payload[2:4], "big") == IKE_PORT:
        return "ike"
    if data[9] == EIGRP:
        name = OPCODES.get(payload[1])
        return f"{name} with routes" if name == "update" and len(payload) > EIGRP_HEADER else name
    return None


@contextlib.contextmanager
def router_watch(lab: str, router: str) -> Iterator[RouterWatch]:
    """A watch for the length of a block, which begins before the lab does."""
    made = RouterWatch(lab, router)
    try:
        yield made
    finally:
        made.close()
