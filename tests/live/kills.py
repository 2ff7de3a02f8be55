"""A controller that is killed at a random moment of `up` or `down`, on any backend."""

from __future__ import annotations

import contextlib
import json
import random
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dmvpn_lab.backends import leftovers
from dmvpn_lab.backends.state import LABS
from dmvpn_lab.container import engine, image
from tests.live import labs

DOCKERS_OWN = ("bridge", "host", "none")
SHIM = "containerd-shim"
AT_MOST_S = 600.0


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """How long the commands take here when nobody kills them, in seconds."""

    up_s: float
    down_s: float


def undisturbed(path: Path, name: str, backend: str) -> Undisturbed:
    """Measure it; image and engine are there then, so that a moment falls into the lab's own start."""
    if backend != "netns":
        image.ensure(print)
    labs.down(name)  # of a run that was cut off: what runs already is up at once
    up_s = _took_s("up", "--no-verify", "--backend", backend, str(path))
    return Undisturbed(up_s, _took_s("down", name))


def killed_during_up(path: Path, name: str, backend: str, moment_s: float) -> None:
    """Kill `up` after so long, take the lab down, and look what is left."""
    before = strangers()
    argv = ("up", "--no-verify", "--backend", backend, str(path))
    while not killed(argv, moment_s):  # it was faster than the undisturbed one
        labs.down(name)
        moment_s /= 2
    labs.down(name)
    assert left_behind(name, backend, before) == []


def killed_during_down(path: Path, name: str, backend: str, moment_s: float) -> None:
    """Kill `down` after so long, run it again, and look what is left."""
    before = strangers()
    labs.up(path, backend)
    while not killed(("down", name), moment_s):
        labs.up(path, backend)
        moment_s /= 2
    labs.down(name)
    assert left_behind(name, backend, before) == []


def killed(argv: Sequence[str], moment_s: float) -> bool:
    """`kill -9` of the command alone, not of what it has started, after so long; False: it had ended."""
    with labs.start_command(*argv) as command:
        try:
            command.communicate(timeout=moment_s)
        except subprocess.TimeoutExpired:
            command.kill()
            print(f"killed after {moment_s:.1f} s: {' '.join(argv[:1])}")
            return True
    assert command.returncode == 0, f"{argv} failed by itself"
    return False


def moment(seed: int, longest_s: float) -> float:
    """A random one, the same each time."""
    return random.Random(seed).uniform(0.0, longest_s)


def left_behind(name: str, backend: str, before: frozenset[str] = frozenset()) -> list[str]:
    """What there still is of a lab, on this host and in Docker; `before` are strangers of before it."""
    found = [*labs.left_behind(name), *sorted(strangers() - before)]
    found += [str(path) for path in LABS.parent.glob(f"**/*{name}*")]
    if backend == "netns":
        return found
    with contextlib.closing(engine.connect()) as client:
        containers = client.containers.list(all=True, filters={"label": f"dmvpn-lab.lab={name}"})
        found += [f"container {each.name}" for each in containers]
        found += [f"network {each.name}" for each in client.networks.list() if each.name not in DOCKERS_OWN]
        found += [f"volume {each.name}" for each in client.volumes.list()]
    found += [f"program {words}" for words in programs() if f"/{name}/" in words or f"/{name}.yml" in words]
    found += [str(path) for path in leftovers.files(name)]
    found += ["entries in /etc/hosts"] if leftovers.in_hosts(name) else []
    return found + namespaces(name)


def strangers() -> frozenset[str]:
    """Every process in a network namespace that is not this host's own, and what holds containers."""
    own = Path("/proc/self/ns/net").readlink()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = command_line(process)
            if words and (process.joinpath("ns/net").readlink() != own or SHIM in words):
                found.update(named(int(process.name)))
    return frozenset(found)


def named(pid: int) -> list[str]:
    """How a process is told; nothing when it has ended."""
    try:
        return [f"process {pid} {command_line(Path(f'/proc/{pid}'))}"]
    except OSError:
        return []


def programs() -> list[str]:
    """The command line of each process of this host."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.append(command_line(process))
    return found


def command_line(process: Path) -> str:
    """Of a process by its folder of /proc; empty for the kernel's own."""
    return process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()


def namespaces(name: str) -> list[str]:
    """Named network namespaces of a lab, such as containerlab makes."""
    listed = subprocess.run(["ip", "-json", "netns"], capture_output=True, text=True, check=True).stdout
    return [each["name"] for each in json.loads(listed or "[]") if re.search(rf"\b{name}\b", each["name"])]


def _took_s(*argv: str) -> float:
    """Seconds that a command takes, which has to succeed."""
    began = time.monotonic()
    with labs.start_command(*argv) as command:
        said, _ = command.communicate(timeout=AT_MOST_S)
    assert command.returncode == 0, said
    return time.monotonic() - began
