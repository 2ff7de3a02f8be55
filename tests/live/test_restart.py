"""A hub's agent is killed: the next one takes over, and routing does not notice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.live import labs
from tests.live.labs import Lab

pytestmark = pytest.mark.live

HELLOS = ("hello: 5, dead: 20", "hello: 1, dead: 6")


def agent_pid(lab: Lab, node: str) -> int:
    """The process that listens at the control socket; 0: there is none."""
    said = lab.must(node, "ss", "-xlpH", "src", "/run/dmvpn-lab/agent.sock")
    return int(said.split("pid=")[1].split(",")[0]) if "pid=" in said else 0


def changes(lab: Lab, node: str) -> list[str]:
    """What ospfd says of its neighbours' state changes, without the timers that run."""
    said = lab.must(node, "vtysh", "-d", "ospfd", "-c", "show ip ospf neighbor detail")
    return [line.strip() for line in said.splitlines() if "state changes" in line or "State is" in line]


def test_ospf_stays_up_when_a_hubs_agent_is_killed_long_before_any_renewal(tmp_path: Path) -> None:
    with labs.running(labs.topology(tmp_path, "hub-and-spoke-ospf", "test-restart", HELLOS)) as lab:
        assert [r for r in lab.verify() if not r.passed] == []
        before = changes(lab, "hub")
        assert before
        cache = {e["protocol"]: e["nbma"] for e in lab.query("hub", "nhrp")}
        pid = agent_pid(lab, "hub")
        lab.must("hub", "kill", "-9", str(pid))
        deadline = time.monotonic() + 20
        while agent_pid(lab, "hub") in (pid, 0):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert {e["protocol"]: e["nbma"] for e in lab.query("hub", "nhrp")} == cache
        assert {m["nbma"] for m in lab.query("hub", "multicast")} == set(cache.values())
        time.sleep(8)  # longer than the dead interval: who heard no hello since the kill has gone
        assert changes(lab, "hub") == before
        assert [r for r in lab.verify() if not r.passed] == []
