"""A long TCP transfer from one host of a lab to another, and what it met on its way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from dmvpn_lab.testing import LiveLab

PORT = 7002
NBMA_MTU = 1500
SILENT_S = 60.0
"""Nothing arriving for so long is a black hole."""
SERVER = """
import socket, sys, time
listener = socket.create_server(("", int(sys.argv[1])))
marks = [int(mark) for mark in sys.argv[3:]]
print("ready", flush=True)
connection, _ = listener.accept()
connection.settimeout(float(sys.argv[2]))
got, gap, last = 0, 0.0, time.monotonic()
while data := connection.recv(65536):
    now = time.monotonic()
    got, gap, last = got + len(data), max(gap, now - last), now
    while marks and got >= marks[0]:
        print(marks.pop(0), flush=True)
connection.sendall(b"!")
print(got, gap, flush=True)
"""
CLIENT = """
import socket, struct, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])) as connection:
    began, left, piece = time.monotonic(), int(sys.argv[4]), bytes(65536)
    while left > 0:
        left -= connection.send(piece[:left])
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(1) == b"!"
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    print(time.monotonic() - began, *(struct.unpack_from("=I", info, at)[0] for at in (16, 60, 100)))
"""
"""The last three, of `struct tcp_info`: segment size, path MTU, segments sent again."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How one went."""

    octets: int
    """That came."""
    took_s: float
    silence_s: float
    """The longest time without data."""
    segment: int
    """Octets of data in a segment, at the end."""
    path_mtu: int
    """As the sender knows it at the end."""
    sent_again: int
    """Segments."""


async def transfer(
    lab: LiveLab,
    source: str,
    target: str,
    address: str,
    octets: int,
    meanwhile: Sequence[Callable[[], Awaitable[None]]],
) -> Transfer:
    """Send so much, and do each of `meanwhile` when another equal share of it has come."""
    marks = [str(octets * (number + 1) // (len(meanwhile) + 1)) for number in range(len(meanwhile))]
    server = ["python3", "-I", "-S", "-c", SERVER, str(PORT), str(SILENT_S), *marks]
    client = ["python3", "-I", "-S", "-c", CLIENT, address, str(PORT), str(SILENT_S), str(octets)]
    async with lab.lab.stream(target, server) as listener, asyncio.TaskGroup() as group:
        assert listener.stdout is not None
        assert await listener.stdout.readline() == b"ready\n"
        sending = group.create_task(lab.lab.exec(source, *client, timeout_s=600.0))
        for mark, do in zip(marks, meanwhile, strict=True):
            assert await listener.stdout.readline() == mark.encode() + b"\n"
            await do()
        came, silence = (await listener.stdout.readline()).split()
        done = await sending
    assert done.exit_code == 0, done.stderr
    took, segment, path_mtu, again = done.stdout.split()
    return Transfer(int(came), float(took), float(silence), int(segment), int(path_mtu), int(again))


@contextlib.contextmanager
def widths_restored(lab: LiveLab) -> Iterator[None]:
    """Lines of the ISP may be made narrow in the block; after it they are not, and nobody remembers."""
    try:
        yield
    finally:
        for line in json.loads(lab.must("isp", "ip", "-json", "link")):
            if line["ifname"] != "lo":
                lab.must("isp", "ip", "link", "set", line["ifname"], "mtu", str(NBMA_MTU))
        for node in lab.plan.nodes:
            lab.must(node.name, "ip", "route", "flush", "cache")


def narrow(lab: LiveLab, line: str, octets: int) -> Callable[[], Awaitable[None]]:
    """What makes a line of the ISP take that much and no more, without a word to anybody."""

    async def do() -> None:
        await lab.lab.must("isp", "ip", "link", "set", line, "mtu", str(octets))

    return do


def counters(lab: LiveLab, name: str) -> dict[str, int]:
    """One of the kernel's SNMP counters of each node."""
    return {
        node.name: int(lab.must(node.name, "nstat", "-azs", name).splitlines()[-1].split()[1])
        for node in lab.plan.nodes
    }
