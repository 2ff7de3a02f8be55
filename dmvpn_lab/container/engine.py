"""The Docker engine: finds it, or starts it where it is ours to start, in the machine."""

from __future__ import annotations

import os
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
    """A client of the engine (docker.DockerClient). Raises HostError when there is none."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=ANSWER_DEADLINE_S)
        client.ping()
    except DockerException as error:
        if "DMVPN_LAB_INSIDE_MACHINE" not in os.environ:
            raise HostError(
                f"Docker does not answer: {error}",
                hint="install and start it (Debian: apt-get install docker.io), or use --backend netns",
            ) from None
        _start()
        client = docker.from_env(timeout=ANSWER_DEADLINE_S)
        client.ping()
    return client


def _start() -> None:
    """Start dockerd; returns once it answers. It lives until the machine ends."""
    import docker
    from docker.errors import DockerException

    with open(LOG, "ab") as log:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    daemon_ended = None
    end = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < end and daemon_ended is None:
        try:
            docker.from_env(timeout=ANSWER_DEADLINE_S).ping()
        except DockerException:
            time.sleep(0.2)
            daemon_ended = daemon.poll()
        else:
            return
    words = "\n".join(LOG.read_text(errors="replace").splitlines()[-6:])
    raise HostError(f"dockerd did not start:\n{words}", hint="run 'dmvpn-lab machine stop' and try again")
