"""Waiting for nodes that are processes of this host: plain processes, and a file that says ready."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import time
from pathlib import Path

import pytest

from dmvpn_lab.backends import procfs
from dmvpn_lab.errors import LabError


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a node writes."""
    path = tmp_path / "ready"
    monkeypatch.setattr(procfs, "READY", str(path).lstrip("/"))
    return path


@pytest.fixture
def ended() -> int:
    """The PID of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


async def no_words(node: str) -> str:
    return f"{node}: no such interface"


def wait(pids: dict[str, int], deadline_s: float = 5.0) -> list[str]:
    said: list[str] = []
    asyncio.run(procfs.wait_until_ready(pids, no_words, deadline_s, lambda _, detail: said.append(detail)))
    return said


def test_each_node_is_told_once_when_it_is_ready(ready: Path) -> None:
    ready.touch()
    said = wait({"hub": os.getpid(), "isp": os.getpid()})
    assert said == ["1 of 2 nodes: hub", "2 of 2 nodes: isp"]


def test_a_node_that_ends_before_it_is_ready_is_told_with_its_last_words(ready: Path, ended: int) -> None:
    with pytest.raises(LabError, match="node hub died while it started:\nhub: no such interface"):
        wait({"hub": ended})


def test_who_is_not_ready_in_time_is_named(ready: Path) -> None:
    with pytest.raises(LabError, match=r"no node became ready for 0 s; still starting: hub"):
        wait({"hub": os.getpid()}, deadline_s=0.1)


def test_a_node_that_becomes_ready_gives_the_others_the_whole_time_again(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty nodes may take long, as long as one after the other comes."""
    began = time.monotonic()
    ready_after_s = {os.getpid(): 0.6, os.getppid(): 1.2, 1: 1.8}
    monkeypatch.setattr(procfs, "_is_ready", lambda pid: time.monotonic() - began > ready_after_s[pid])
    assert len(wait({str(pid): pid for pid in ready_after_s}, deadline_s=1.5)) == 3


def test_looking_takes_a_small_share_of_a_processor_however_slow_it_is(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under emulation a look at each node costs so much that it would keep the nodes from starting."""
    slept: list[float] = []
    clock = itertools.count()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        ready.touch()  # noqa: ASYNC240 - a temporary file

    each_look_takes_1_s = "dmvpn_lab.backends.procfs.time.thread_time"
    monkeypatch.setattr(each_look_takes_1_s, lambda: float(next(clock)))
    monkeypatch.setattr("dmvpn_lab.backends.procfs.asyncio.sleep", sleep)
    wait({"hub": os.getpid()})
    assert slept == [1.0 / procfs.SHARE]
