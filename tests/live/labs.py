"""Whole labs for tests: started under a name of their own, asked and changed without a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmvpn_lab import controller
from dmvpn_lab.backends.cgroup import Cgroup
from dmvpn_lab.backends.state import LABS
from dmvpn_lab.checks import CheckResult
from dmvpn_lab.cli.commands import run_here
from dmvpn_lab.running import RunningLab

TOP = Path(__file__).resolve().parent.parent.parent
TOPOLOGIES = TOP / "topologies"


def topology(folder: Path, name: str, lab: str, *changes: tuple[str, str]) -> Path:
    """A bundled topology under another lab's name, with pieces of its text replaced."""
    text = (TOPOLOGIES / f"{name}.yml").read_text()
    for old, new in ((f"lab: {name}\n", f"lab: {lab}\n"), *changes):
        assert old in text, f"{name}.yml has no {old!r}"
        text = text.replace(old, new)
    path = folder / f"{lab}.yml"
    path.write_text(text)
    return path


@dataclass(frozen=True, slots=True)
class Lab:
    """A running lab that no plugin looks at."""

    running: RunningLab

    @property
    def name(self) -> str:
        """Of the lab."""
        return self.running.plan.lab

    def verify(self) -> list[CheckResult]:
        """All checks."""

        async def collect() -> list[CheckResult]:
            return [result async for result in controller.verify(self.running)]

        return asyncio.run(collect())

    def must(self, node: str, *argv: str) -> str:
        """The output of a command in a node that has to succeed."""
        return asyncio.run(self.running.must(node, *argv))

    def query(self, node: str, name: str) -> Any:
        """What an agent answers."""
        return asyncio.run(self.running.query(node, name))


def cli(*argv: str) -> tuple[int, str]:
    """Run a command of the command line in this process: exit code and standard output."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run_here(list(argv))
    return code, out.getvalue()


def told(lab: str, *argv: str) -> Any:
    """What a command prints with --json about a lab."""
    code, out = cli(*argv, "--lab", lab, "--json")
    assert code == 0, out
    return json.loads(out)


def up(path: Path, backend: str = "netns") -> controller.UpResult:
    """Start the lab of a topology file."""
    return asyncio.run(controller.up(str(path), backend, lambda phase, detail: print(f"{phase}: {detail}")))


def down(name: str) -> bool:
    """Remove a lab."""
    return asyncio.run(controller.down(name))


@contextlib.contextmanager
def running(path: Path) -> Iterator[Lab]:
    """The lab of a topology file, for the length of a block."""
    started = up(path)
    lab = Lab(started.lab)
    try:
        yield lab
    finally:
        down(lab.name)
        assert left_behind(lab.name) == []


def left_behind(name: str) -> list[str]:
    """What there still is of a lab: processes, control group, folder, links and mounts of this host."""
    found = [f"process {pid}" for pid in Cgroup(name).pids()]
    found += [str(path) for path in (Cgroup(name).path, LABS / name) if path.exists()]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [line for line in mounts if f"/labs/{name}/" in line]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    found += re.findall(r"^\d+: (veth\S*|eth\d+@\S+|tunnel\S*):", links, re.MULTILINE)
    return found


def start_command(*argv: str) -> subprocess.Popen[str]:
    """A command of the command line in a process of its own, as the leader of its group."""
    return subprocess.Popen(
        [sys.executable, "-m", "dmvpn_lab", *argv],
        cwd=TOP,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
