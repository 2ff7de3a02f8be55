"""A hub's agent is killed: the next one takes over, and routing does not notice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live

HELLOS = ("hello: 5, dead: 20", "hello: 1, dead: 6")


def agent_pid(lab: LiveLab, node: str) -> int:
    """The process that listens at the control socket; 0: there is none."""
    said = lab.must(node, "ss", "-xlpH", "src", "/run/dmvpn-lab/agent.sock")
    return int(said.split("pid=")[1].split(",")[0]) if "pid=" in said else 0


def changes(lab: LiveLab, node: str) -> list[str]:
    """What ospfd says of its neighbours' state changes, without the timers that run."""
    said = lab.must(node, "vtysh", "-d", "ospfd", "-c", "show ip ospf neighbor detail")
    return [line.strip() for line in said.splitlines() if "state changes" in line or "State is" in line]


def test_ospf_stays_up_when_a_hubs_agent_is_killed_long_before_any_renewal(
    dmvpn_labs: Labs, tmp_path: Path
) -> None:
    path = labs.topology(tmp_path, "hub-and-spoke-ospf", "test-restart", HELLOS)
    with dmvpn_labs.running(str(path)) as lab:
        lab.verify()
        before = changes(lab, "hub")
        assert before
        cache = {e["protocol"]: e["nbma"] for e in lab.show("hub", "nhrp")}
        pid = agent_pid(lab, "hub")
        lab.must("hub", "kill", "-9", str(pid))
        lab.wait_for(lambda: agent_pid(lab, "hub") not in (pid, 0), 20, what="another agent")
        assert {e["protocol"]: e["nbma"] for e in lab.show("hub", "nhrp")} == cache
        assert {m["nbma"] for m in lab.show("hub", "multicast")} == set(cache.values())
        time.sleep(8)  # longer than the dead interval: who heard no hello since the kill has gone
        assert changes(lab, "hub") == before
        lab.verify()
