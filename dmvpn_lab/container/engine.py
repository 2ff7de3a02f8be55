"""The Docker engine: finds it, or starts it where it is ours to start, in the machine."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from dmvpn_lab.errors import HostError

SOCKET = Path("/run/docker.sock")
LOG = Path("/run/dmvpn-lab/dockerd.log")
START_DEADLINE_S = 120.0
ANSWER_DEADLINE_S = 300
"""Seconds for one call: a container takes its time on an emulated processor."""


def connect() -> Any:
    """A client of the engine (docker.DockerClient), for the caller to close. Raises HostError."""
    import docker
    from docker.errors import DockerException

    if "DMVPN_LAB_INSIDE_MACHINE" in os.environ and not _listens():
        _start()
    try:
        client = docker.from_env(timeout=ANSWER_DEADLINE_S)
        client.ping()
    except DockerException as error:
        raise HostError(
            f"Docker does not answer: {error}",
            hint="install and start it (Debian: apt-get install docker.io), or use --backend netns",
        ) from None
    return client


def _listens() -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(SOCKET)) == 0


def _start() -> None:
    """Start dockerd; returns once it listens. It lives until the machine ends."""
    with open(LOG, "ab") as log:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    end = time.monotonic() + START_DEADLINE_S
    while not _listens():
        if daemon.poll() is not None or time.monotonic() > end:
            words = "\n".join(LOG.read_text(errors="replace").splitlines()[-6:])
            raise HostError(
                f"dockerd did not start:\n{words}", hint="run 'dmvpn-lab machine stop', then again"
            )
        time.sleep(0.1)
    daemon.returncode = 0  # the machine's first process reaps it, not this object
