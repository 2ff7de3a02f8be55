"""The control group of a lab: whatever runs in it is found and killed."""

from __future__ import annotations

import select
import signal
import subprocess
import sys
import time

import pytest

from dmvpn_lab.backends import cgroup
from dmvpn_lab.backends.cgroup import Cgroup
from dmvpn_lab.errors import HostError

pytestmark = pytest.mark.root
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.fork()
os.setsid()
os.fork()
os.write(1, f"{os.getpid()}\\n".encode())
time.sleep(600)
"""
"""Four processes, in two sessions, deaf to SIGTERM. They start once stdin says so."""


def test_killing_a_group_that_is_not_there_is_no_error(lab_name: str) -> None:
    assert Cgroup(lab_name).kill() is False


def test_an_empty_group_is_removed(lab_name: str) -> None:
    group = Cgroup(lab_name)
    group.create()
    assert group.path.is_dir()
    assert group.kill() is True
    assert not group.path.exists()


def test_creating_twice_is_no_error(lab_name: str) -> None:
    Cgroup(lab_name).create()
    Cgroup(lab_name).create()


def test_kill_ends_grandchildren_in_other_sessions(lab_name: str) -> None:
    group = Cgroup(lab_name)
    group.create()
    code = f"import sys; sys.stdin.readline(); exec({STUBBORN!r})"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            group.add(child.pid)
            child.stdin.write("go\n")
            child.stdin.flush()
            pids = {int(child.stdout.readline()) for _ in range(4)}
            assert len(pids) == 4
            assert set(group.pids()) == pids
            began = time.monotonic()
            assert group.kill() is True
            assert time.monotonic() - began < 5
        finally:
            group.kill()
    assert not group.path.exists()
    assert group.pids() == []


def test_what_is_frozen_does_nothing_until_it_is_let_go(lab_name: str) -> None:
    group = Cgroup(lab_name)
    group.create()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        group.add(child.pid)
        with group.frozen():
            child.stdin.write("go\n")
            child.stdin.flush()
            assert not select.select([child.stdout], [], [], 0.3)[0]
        assert child.stdout.readline() == "go\n"
        child.stdin.close()


def test_a_frozen_group_can_be_killed(lab_name: str) -> None:
    """Its controller was killed while it wired the nodes."""
    group = Cgroup(lab_name)
    group.create()
    with subprocess.Popen(["sleep", "600"]) as child:
        group.add(child.pid)
        with group.frozen():
            assert group.kill() is True
        assert child.wait() == -signal.SIGKILL


def test_a_host_without_cgroup_v2_is_told_what_to_mount(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMounts:
        def __init__(self, *_: object) -> None:
            pass

        def read_text(self) -> str:
            return "22 1 0:20 / /sys rw - sysfs sysfs rw\n"

    monkeypatch.setattr(cgroup, "Path", NoMounts)
    with pytest.raises(HostError, match="cgroup v2 is not mounted") as caught:
        cgroup.mounted_at()
    assert "mount -t cgroup2" in (caught.value.hint or "")
