"""Cables are made inside the nodes' namespaces; nothing of them is ever in the host's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dmvpn_lab.backends import links
from dmvpn_lab.errors import LabError
from tests.unit.backends.plain import plain_plan

pytestmark = pytest.mark.root
PLAN = plain_plan("x")


@contextlib.contextmanager
def namespaces() -> Iterator[dict[str, int]]:
    """A process in a network namespace of its own for each node."""
    script = "echo; exec sleep 60"
    processes = {
        node.name: subprocess.Popen(["unshare", "-n", "sh", "-c", script], stdout=subprocess.PIPE)
        for node in PLAN.nodes
    }
    try:
        for process in processes.values():
            assert process.stdout is not None
            process.stdout.readline()
        yield {name: process.pid for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()


def interfaces(pid: int | None) -> set[str]:
    enter = [] if pid is None else ["nsenter", "-t", str(pid), "-n"]
    done = subprocess.run([*enter, "ip", "-json", "link"], capture_output=True, check=True)
    return {link["ifname"] for link in json.loads(done.stdout)}


def test_both_ends_are_in_their_nodes_and_none_in_the_host() -> None:
    before = interfaces(None)
    with namespaces() as pids:
        asyncio.run(links.wire(PLAN, pids))
        for pid in pids.values():
            assert "eth1" in interfaces(pid)
    assert interfaces(None) == before


def test_no_file_descriptor_is_left_open() -> None:
    with namespaces() as pids:
        asyncio.run(links.wire(PLAN, pids))
        left = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
    assert not [target for target in left if target.startswith("net:")]


def _is_link(fd: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{fd}")


def test_a_node_that_died_is_an_error_of_the_lab() -> None:
    with namespaces() as pids, pytest.raises(LabError, match="died before it was wired"):
        asyncio.run(links.wire(PLAN, pids | {"two": 2**22 + 1}))


def test_a_link_that_the_kernel_refuses_is_named() -> None:
    long = replace(PLAN.links[0], a=replace(PLAN.links[0].a, interface="x" * 16))
    with namespaces() as pids, pytest.raises(LabError, match="x" * 16):
        asyncio.run(links.wire(replace(PLAN, links=(long,)), pids))
