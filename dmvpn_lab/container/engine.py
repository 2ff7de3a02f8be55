"""The Docker engine: finds it, or starts it where it is ours to start, in the machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dmvpn_lab.errors import HostError

SOCKET = Path("/run/docker.sock")
HOST = Path("/var/run/docker.sock")
"""Where its client looks when DOCKER_HOST says nothing."""
CONTAINERD = Path("/run/dmvpn-lab/containerd.sock")
OWN = Path("/run/dmvpn-lab")
"""Of the machine: logs, the lock of who starts the engine, containerd's settings and socket."""
WITHOUT_CRI = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
START_DEADLINE_S = 120.0
ANSWER_DEADLINE_S = 300
"""Seconds for one call: a container takes its time on an emulated processor."""

WITH_ROOT = "run the same command with sudo"
START = (
    "start it: systemctl start docker, or dockerd (Debian's package is docker.io); "
    "a lab with --backend netns needs none"
)


def connect() -> Any:
    """A client of the engine (docker.DockerClient), for the caller to close. Raises HostError."""
    import docker
    from docker.errors import DockerException

    if "DMVPN_LAB_INSIDE_MACHINE" in os.environ:
        _ensure()
    _knock(os.environ.get("DOCKER_HOST") or f"unix://{HOST}")
    try:
        client = docker.from_env(timeout=ANSWER_DEADLINE_S)
        client.ping()
    except DockerException as error:
        raise HostError(f"Docker does not answer: {error}", hint=START) from None
    return client


def _knock(where: str) -> None:
    """Raises HostError when nobody is at the engine's socket, of which its client makes many words."""
    if not where.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(where.removeprefix("unix://"))
        except PermissionError as error:
            raise HostError(f"Docker at {where} may not be used: {error.strerror}", hint=WITH_ROOT) from None
        except OSError as error:
            said = error.strerror or error
            raise HostError(f"Docker does not run at {where}: {said}", hint=START) from None


def _ensure() -> None:
    """Start what does not run. containerd goes first, by itself: one that dockerd starts has ten
    seconds, which a busy emulated processor may not have."""
    with _alone():
        if not _listens(CONTAINERD):
            settings = OWN / "containerd.toml"
            settings.write_text(WITHOUT_CRI)
            argv = ["containerd", "--config", str(settings), "--address", str(CONTAINERD)]
            _start(argv, lambda: _listens(CONTAINERD))
        if not _listens(SOCKET):
            _start(["dockerd", "--containerd", str(CONTAINERD)], lambda: _answers(SOCKET))


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One command at a time starts the engine; others wait for it."""
    with open(OWN / "engine.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _answers(path: Path) -> bool:
    """Whether it serves: dockerd listens long before it does, and may end in between."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return probe.recv(1) != b""
        except OSError:
            return False


def _start(argv: Sequence[str], ready: Callable[[], bool]) -> None:
    """Start a daemon; returns once it is ready. It lives until the machine ends. Raises HostError."""
    path = OWN / f"{argv[0]}.log"
    with open(path, "ab") as log:
        daemon = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    end = time.monotonic() + START_DEADLINE_S
    while not ready():
        if daemon.poll() is not None or time.monotonic() > end:
            words = "\n".join(path.read_text(errors="replace").splitlines()[-6:])
            raise HostError(
                f"{argv[0]} did not start:\n{words}", hint="run 'dmvpn-lab machine stop', then again"
            )
        time.sleep(0.1)
    daemon.returncode = 0  # the machine's first process reaps it, not this object
