"""What fits a tunnel of 1400 octets passes whole; what does not is told, not lost."""

from __future__ import annotations

import asyncio

import pytest

from dmvpn_lab.running import RunningLab
from dmvpn_lab.testing import LiveLab

pytestmark = pytest.mark.live

HEADERS = 28
"""Octets of IPv4 and ICMP around a ping's payload."""
MTU = 1400
MSS = MTU - 40
TIMESTAMPS = 12
"""Octets of TCP's timestamp option, which the kernel takes off the segment size."""
OCTETS = 1_000_000
SERVER = f"""
import socket
listener = socket.create_server(("", 7000))
print("ready", flush=True)
connection, _ = listener.accept()
got = 0
while data := connection.recv(65536):
    got += len(data)
assert got == {OCTETS}, got
print(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
"""
CLIENT = f"""
import socket
with socket.create_connection(("192.168.2.2", 7000), 20) as connection:
    print(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
    connection.sendall(bytes({OCTETS}))
"""


def ping(lab: LiveLab, octets: int) -> tuple[int, str]:
    """One ping of so many octets in all from host-1 to host-2 that must not be fragmented."""
    done = lab.exec(
        "host-1", "ping", "-n", "-c", "1", "-W", "3", "-M", "do", "-s", str(octets - HEADERS), "192.168.2.2"
    )
    return done.exit_code, done.stdout + done.stderr


def fragments(lab: LiveLab, node: str) -> int:
    """Fragments that a node has made."""
    line = lab.must(node, "nstat", "-az", "IpFragCreates").splitlines()[-1]
    return int(line.split()[1])


def test_the_largest_packet_passes_whole_and_a_larger_one_is_refused_with_the_mtu(deck: LiveLab) -> None:
    deck.verify()
    code, said = ping(deck, MTU)
    assert code == 0, said
    code, said = ping(deck, MTU + 1)
    assert code == 1
    assert f"mtu = {MTU}" in said or f"mtu={MTU}" in said


def test_tcp_is_told_what_fits_and_no_router_makes_fragments(deck: LiveLab) -> None:
    deck.verify()
    deck.must("host-1", "ip", "route", "flush", "cache")
    before = {node: fragments(deck, node) for node in ("spoke-a", "hub", "spoke-b")}
    at_client, at_server = deck.run(transfer(deck.lab))
    assert at_client == at_server == MSS - TIMESTAMPS
    assert {node: fragments(deck, node) for node in before} == before


async def transfer(lab: RunningLab) -> tuple[int, int]:
    """Send OCTETS from host-1 to host-2; the segment size as each end sees it."""
    async with lab.stream("host-2", ["python3", "-I", "-S", "-c", SERVER]) as server:
        assert server.stdout is not None
        assert await server.stdout.readline() == b"ready\n"
        sent = await lab.must("host-1", "python3", "-I", "-S", "-c", CLIENT)
        async with asyncio.timeout(30):
            return int(sent), int(await server.stdout.readline())
