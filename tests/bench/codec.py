"""NHRP packets decoded and encoded a second, by the codec alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from dmvpn_lab.nhrp.packet import decode, encode
from tests.bench.figures import Figure, say
from tests.bench.registration import request
from tests.vectors import cisco

GROUP = "codec"


def measure(seconds: float) -> list[Figure]:
    """A registration of our own, and one by IOS with five extensions."""
    say("codec")
    packets = {
        "registration request": request(0, 1),
        "registration request of IOS, 5 extensions": cisco.REGISTRATION_REQUEST_BEHIND_NAT,
    }
    figures = []
    for name, data in packets.items():
        packet = decode(data)
        assert encode(packet) == data
        rates = {
            "decoded": rate(lambda data=data: decode(data), seconds),  # type: ignore[misc]
            "encoded": rate(lambda packet=packet: encode(packet), seconds),  # type: ignore[misc]
            "decoded and encoded": rate(lambda data=data: encode(decode(data)), seconds),  # type: ignore[misc]
        }
        figures += [Figure(GROUP, f"{name}, {what}", value, "1/s") for what, value in rates.items()]
    return figures


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a CPU second; CPU time, because other programs share the processor."""
    count, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds:
        for _ in range(200):
            call()
        count += 200
    return count / spent
