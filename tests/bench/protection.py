"""The price of IPsec: the same two routers with a bare and with a protected tunnel, by turns.

Both labs run all the while, and a slice of one follows a slice of the other, so that what else the
host does hits both. What counts is the ratio of the two in a slice, and the difference of their median
round-trip times: the median over the slices, and the least and the most beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.figures import Figure, number, say
from tests.live import labs
from tests.live.labs import Lab

GROUP = "protection"
KINDS = ("bare", "protected")
TOPOLOGY = """lab: bench-{kind}
clouds:
  dmvpn: {{subnet: 10.0.0.0/24, key: 1, unique: false, routing: {{protocol: none}}{ipsec}}}
nodes:
  hub: {{nbma: 172.17.0.1/24, clouds: {{dmvpn: {{role: hub, address: 10.0.0.1}}}}}}
  spoke: {{nbma: 172.16.1.1/24, clouds: {{dmvpn: {{role: spoke, address: 10.0.0.11}}}}}}
"""
IPSEC = ", ipsec: {pre-shared-key: bench}"
HUB, PORT = "10.0.0.1", 7001
OCTETS = 4_000_000
PINGS = 50
TIME = re.compile(r"time=([0-9.]+) ms")
SERVER = f"""
import socket
listener = socket.create_server(("", {PORT}))
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    left = {OCTETS}
    while left > 0 and (data := connection.recv(1 << 16)):
        left -= len(data)
    connection.sendall(b"!")
    connection.close()
"""
CLIENT = f"""
import socket, time
with socket.create_connection(("{HUB}", {PORT}), 20) as connection:
    began = time.monotonic()
    connection.sendall(bytes({OCTETS}))
    assert connection.recv(1) == b"!"
    print(time.monotonic() - began)
"""


def measure(folder: Path, slices: int) -> list[Figure]:
    """Throughput and round-trip time of each, and what the one costs against the other."""
    with contextlib.ExitStack() as stack:
        both = {}
        for kind in KINDS:
            say(f"protection: up, {kind}")
            path = folder / f"bench-{kind}.yml"
            path.write_text(TOPOLOGY.format(kind=kind, ipsec=IPSEC if kind == "protected" else ""))
            both[kind] = stack.enter_context(labs.running(path))
            failed = [f"{r.name} {r.node}: {r.observed}" for r in both[kind].verify() if not r.passed]
            assert not failed, failed
        rates, times = asyncio.run(_slices(both, slices))
    return _figures(rates, times)


async def _slices(both: dict[str, Lab], slices: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Mbit/s of each slice, and its median round trip in milliseconds, by kind."""
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    async with contextlib.AsyncExitStack() as stack:
        for lab in both.values():
            await stack.enter_async_context(_server(lab))
        for number in range(slices):
            say(f"protection: slice {number + 1} of {slices}")
            for kind, lab in both.items():
                took_s = float(await lab.running.must("spoke", "python3", "-I", "-S", "-c", CLIENT))
                rates[kind].append(OCTETS * 8 / 1e6 / took_s)
                said = await lab.running.must("spoke", "ping", "-n", "-c", str(PINGS), "-i", "0.02", HUB)
                times[kind].append(statistics.median(float(each) for each in TIME.findall(said)))
    return rates, times


@contextlib.asynccontextmanager
async def _server(lab: Lab) -> AsyncIterator[None]:
    async with lab.running.stream("hub", ["python3", "-I", "-S", "-c", SERVER]) as server:
        assert server.stdout is not None
        assert await server.stdout.readline() == b"ready\n"
        yield


def _figures(rates: dict[str, list[float]], times: dict[str, list[float]]) -> list[Figure]:
    found = []
    for kind in KINDS:
        found.append(Figure(GROUP, f"{kind}: TCP, median", statistics.median(rates[kind]), "Mbit/s"))
        found.append(Figure(GROUP, f"{kind}: round trip, median", statistics.median(times[kind]), "ms"))
    ratios = [mine / bare for mine, bare in zip(rates["protected"], rates["bare"], strict=True)]
    added = [mine - bare for mine, bare in zip(times["protected"], times["bare"], strict=True)]
    return [*found, _over_slices("protected / bare: TCP", ratios, "ratio"),
            _over_slices("protected - bare: round trip", added, "ms")]  # fmt: skip


def _over_slices(name: str, values: list[float], unit: str) -> Figure:
    note = f"{number(min(values))} to {number(max(values))} in {len(values)} slices"
    return Figure(GROUP, name, statistics.median(values), unit, note=note)
