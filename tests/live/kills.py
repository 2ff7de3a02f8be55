"""A controller that is killed at a random moment of `up` or `down`, on any backend."""

from __future__ import annotations

import contextlib
import json
import random
import re
import subprocess
import time
from pathlib import Path

from dmvpn_lab.backends import leftovers
from dmvpn_lab.backends.state import LABS
from dmvpn_lab.container import engine, image
from tests.live import labs

DOWN_S = {"netns": 2.0, "docker": 15.0, "containerlab": 15.0}
"""About as long as `down` takes in an emulated machine; a moment in it is drawn at random."""

DOCKERS_OWN = ("bridge", "host", "none")


def killed_during_up(path: Path, name: str, backend: str, moment_s: float) -> None:
    """Kill `up` after so long, take the lab down, and look what is left."""
    with labs.start_command("up", "--no-verify", "--backend", backend, str(path)) as command:
        kill_after(command, moment_s)
    labs.down(name)
    assert left_behind(name, backend) == []


def killed_during_down(path: Path, name: str, backend: str, moment_s: float) -> None:
    """Kill `down` after so long, run it again, and look what is left."""
    labs.up(path, backend)
    with labs.start_command("down", name) as command:
        kill_after(command, moment_s)
    labs.down(name)
    assert left_behind(name, backend) == []


def kill_after(command: subprocess.Popen[str], moment_s: float) -> None:
    """`kill -9` of the command alone, not of what it has started; nothing if it has ended."""
    try:
        command.wait(moment_s)
    except subprocess.TimeoutExpired:
        command.kill()


def moment(seed: int, longest_s: float) -> float:
    """A random one, the same each time."""
    return random.Random(seed).uniform(0.0, 1.2 * longest_s)


def left_behind(name: str, backend: str) -> list[str]:
    """What there still is of a lab, on this host and in Docker."""
    found = labs.left_behind(name)
    if backend == "netns":
        return found
    with contextlib.closing(engine.connect()) as client:
        containers = client.containers.list(all=True, filters={"label": f"dmvpn-lab.lab={name}"})
        found += [f"container {each.name}" for each in containers]
        found += [f"network {each.name}" for each in client.networks.list() if each.name not in DOCKERS_OWN]
        found += [f"volume {each.name}" for each in client.volumes.list()]
    found += [f"program {words}" for words in programs() if f"/{name}/" in words or f"/{name}.yml" in words]
    found += [str(path) for path in LABS.parent.glob(f"**/*{name}*") if not path.name.endswith(".lock")]
    found += [str(path) for path in leftovers.files(name)]
    found += ["entries in /etc/hosts"] if leftovers.in_hosts(name) else []
    return found + namespaces(name)


def programs() -> list[str]:
    """The command line of each process of this host."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def namespaces(name: str) -> list[str]:
    """Named network namespaces of a lab, such as containerlab makes."""
    listed = subprocess.run(["ip", "-json", "netns"], capture_output=True, text=True, check=True).stdout
    return [each["name"] for each in json.loads(listed or "[]") if re.search(rf"\b{name}\b", each["name"])]


def undisturbed(path: Path, name: str, backend: str) -> float:
    """How long `up` takes here, image and engine being there: what moments are drawn from."""
    if backend != "netns":
        image.ensure(print)
    began = time.monotonic()
    labs.up(path, backend)
    took_s = time.monotonic() - began
    labs.down(name)
    return took_s
