"""Word of routes that change in a network namespace, from this kernel."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from dmvpn_lab.backends.routes import Change, following
from dmvpn_lab.errors import LabError

pytestmark = pytest.mark.live
PATIENCE_S = 30.0
READY = "ip link set lo up && ip address add 10.9.0.1/24 dev lo && echo ready && exec sleep 600"


@pytest.fixture
def node() -> Iterator[subprocess.Popen[str]]:
    """A process in a network namespace of its own."""
    argv = ["unshare", "--net", "sh", "-c", READY]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def ip(node: subprocess.Popen[str], words: str) -> None:
    """`ip` in its namespace."""
    subprocess.run(["nsenter", "-t", str(node.pid), "-n", "ip", *words.split()], check=True)


def descriptors() -> int:
    """Files and sockets that this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_routes_of_a_node_are_heard_and_only_for_the_length_of_the_block(
    node: subprocess.Popen[str],
) -> None:
    async def hear() -> list[Change]:
        heard: list[Change] = []
        some = asyncio.Event()

        def tell(changes: Sequence[Change]) -> None:
            heard.extend(changes)
            some.set()

        async with asyncio.timeout(PATIENCE_S):
            with following(node.pid, tell) as ended:
                ip(node, "route add 192.168.1.0/24 via 10.9.0.7")
                ip(node, "route delete 192.168.1.0/24")
                while len(heard) < 2:
                    await some.wait()
                    some.clear()
            ip(node, "route add 192.168.2.0/24 via 10.9.0.7")
            await asyncio.sleep(0)
            assert not ended.is_set()
        return heard

    gone, via = ip_network("192.168.1.0/24"), (ip_address("10.9.0.7"),)
    assert asyncio.run(hear()) == [Change(gone, via, 254, False), Change(gone, via, 254, True)]


def test_a_node_that_ends_is_told_of_and_its_namespace_let_go(node: subprocess.Popen[str]) -> None:
    async def end() -> int:
        before = descriptors()
        with following(node.pid, lambda changes: None) as ended:
            during = descriptors()
            node.kill()
            async with asyncio.timeout(PATIENCE_S):
                await ended.wait()
            assert descriptors() == during - 1, "the socket is closed"
        return descriptors() - before

    assert asyncio.run(end()) == 0


def test_a_node_that_has_ended_cannot_be_followed(node: subprocess.Popen[str]) -> None:
    async def follow() -> None:
        with following(node.pid, lambda changes: None):
            pass

    node.kill()
    node.wait()
    with pytest.raises(
        LabError, match=f"the routes of process {node.pid} cannot be followed: No such process"
    ):
        asyncio.run(follow())
