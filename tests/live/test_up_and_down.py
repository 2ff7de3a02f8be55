"""Labs come whole and go whole, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from dmvpn_lab.backends.cgroup import Cgroup
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.errors import LabError
from dmvpn_lab.testing import Labs, LiveLab
from tests.live import labs

pytestmark = pytest.mark.live

NO_ROUTING = (
    "{protocol: eigrp, asn: 1, split-horizon: false, bandwidth: 1000}",
    "{protocol: none}",
)
UP_S = 8.0
"""About as long as a start takes: a moment in it is drawn at random."""


def test_ctrl_c_in_the_middle_of_up_leaves_nothing(folder: Path) -> None:
    path = labs.topology(folder, "hub-and-spoke", "test-interrupted")
    with labs.start_command("up", str(path)) as command:
        said = until_links(command)
        os.killpg(command.pid, signal.SIGINT)
        said += command.stdout.read() if command.stdout else ""
    assert command.returncode == 130, said
    assert "interrupted" in said
    assert labs.left_behind("test-interrupted") == []


def test_the_next_up_starts_anew_what_a_killed_one_left(folder: Path) -> None:
    path = labs.topology(folder, "hub-and-spoke", "test-killed", NO_ROUTING)
    with labs.start_command("up", str(path)) as command:
        until_links(command)
        os.killpg(command.pid, signal.SIGKILL)
    assert labs.left_behind("test-killed") != []
    with labs.running(path) as lab:
        assert [r for r in lab.verify() if not r.passed] == []


def until_links(command: subprocess.Popen[str]) -> str:
    """What `up` says until its links are wired; its nodes are starting then."""
    said = ""
    for line in command.stdout or ():
        said += line
        if "links" in line:
            return said
    raise AssertionError(f"up ended early: {said}")


@pytest.mark.parametrize("moment", [0.15, 0.5, 0.85])
def test_down_removes_what_a_controller_killed_at_any_moment_left(folder: Path, moment: float) -> None:
    killed_during_up(folder, moment * UP_S)


def killed_during_up(folder: Path, after_s: float) -> None:
    path = labs.topology(folder, "hub-and-spoke", "test-killed")
    with labs.start_command("up", "--no-verify", str(path)) as command:
        try:
            command.wait(after_s)
        except subprocess.TimeoutExpired:
            os.killpg(command.pid, signal.SIGKILL)
    labs.down("test-killed")
    assert labs.left_behind("test-killed") == []


def kill_and_wait(pid: int) -> None:
    """Return when the process, and what lived in its PID namespace, has ended."""
    watch = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(watch, signal.SIGKILL)
        ended, _, _ = select.select([watch], [], [], 60)
    finally:
        os.close(watch)
    assert ended, f"process {pid} outlives SIGKILL"


@pytest.mark.parametrize("victim", ["agent", "zebra", "ospfd", "dhcpcd", "dnsmasq", "init", "warm"])
def test_down_removes_a_lab_of_which_a_process_was_killed(folder: Path, victim: str) -> None:
    name = "hub-and-spoke-ospf" if victim in ("zebra", "ospfd") else "hub-and-spoke"
    path = labs.topology(folder, name, "test-process")
    with labs.running(path) as lab:
        if victim == "warm":
            os.kill(Cgroup("test-process").pids()[0], signal.SIGKILL)
            return
        node = "isp" if victim == "dnsmasq" else "spoke-a"
        if victim == "init":
            kill_and_wait(LabFolder("test-process").read_json("pids")[node])
            with pytest.raises(LabError):
                lab.query(node, "status")
        else:
            name = "python3" if victim == "agent" else victim
            pids = [pid for pid in lab.must(node, "pgrep", "-x", name).split() if pid != "1"]
            lab.must(node, "kill", "-9", pids[0])


def test_a_killed_agent_is_started_again_and_traffic_goes_on(deck: LiveLab) -> None:
    deck.verify()
    before = deck.show("hub", "status")["uptime_s"]
    pids = [pid for pid in deck.must("hub", "pgrep", "-x", "python3").split() if pid != "1"]
    deck.must("hub", "kill", "-9", pids[0])
    deck.wait_for(lambda: deck.show("hub", "status")["uptime_s"] < before, what="another agent at the hub")
    # Spokes register again at their next renewal; the kernel's bindings carry traffic until then.
    assert deck.must("host-1", "ping", "-c", "3", "-i", "0.2", "-W", "2", "192.168.2.2")


def test_a_changed_topology_is_brought_up_instead_of_the_old(folder: Path) -> None:
    first = labs.topology(folder, "hub-and-spoke", "test-changed", NO_ROUTING)
    with labs.running(first):
        labs.topology(folder, "hub-and-spoke", "test-changed", NO_ROUTING, ("10.0.0.11", "10.0.0.21"))
        again = labs.up(first)
        assert again.started is True
        assert [r for r in labs.Lab(again.lab).verify() if not r.passed] == []
        assert {e["protocol"] for e in labs.Lab(again.lab).query("hub", "nhrp")} == {"10.0.0.21", "10.0.0.12"}


def test_two_labs_run_side_by_side(deck: LiveLab, dmvpn_labs: Labs, folder: Path) -> None:
    path = labs.topology(folder, "hub-and-spoke", "test-second", NO_ROUTING)
    with dmvpn_labs.running(str(path)) as second:
        second.verify()
        assert len(second.show("hub", "nhrp")) == 2
        code, out = labs.cli("inspect", "--json")
        assert code == 0
        names = {lab["lab"]: lab["state"] for lab in json.loads(out)}
        assert names["test-second"] == names[deck.name] == "running"
