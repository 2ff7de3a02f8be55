"""What a protected router still has to say while it ends does not leave in clear."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.live import labs
from tests.live.line_watch import ESP, line_watch

pytestmark = pytest.mark.live

NAME = "test-ipsec-end"
MEMBER = """
import socket, time
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]
for number, each in enumerate(sockets):
    group = socket.inet_aton(f"239.1.{number // 20}.{number % 20 + 1}") + socket.inet_aton("10.0.0.1")
    each.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
print("joined", flush=True)
time.sleep(600)
"""


def test_the_kernel_tells_no_router_in_clear_that_a_hub_that_ends_leaves_its_groups(tmp_path: Path) -> None:
    path = labs.topology(tmp_path, "ipsec", NAME)
    with line_watch(NAME) as lines:
        lab = labs.Lab(labs.up(path).lab)
        try:
            assert all(result.passed for result in lab.verify())
            enter = lab.running.backend.enter_argv(NAME, "hub", ["python3", "-c", MEMBER])
            with subprocess.Popen(enter, stdout=subprocess.PIPE, text=True) as member:
                assert member.stdout is not None
                assert member.stdout.readline() == "joined\n"
                assert labs.down(NAME)
                member.wait(10)
        finally:
            labs.down(NAME)
    assert lines.lost == 0
    assert any(packet.protocol == ESP for packet in lines.packets)
    assert lines.cleartext() == []
