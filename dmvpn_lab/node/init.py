"""The first process of every node: interfaces, packet filter, services, agent; then it reaps.

Also a container's entry point: `python3 -m dmvpn_lab.node.init`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from dmvpn_lab import answers
from dmvpn_lab.daemon import __main__ as agent
from dmvpn_lab.daemon.config import load as load_agent
from dmvpn_lab.errors import EXIT_HOST, DmvpnLabError, HostError, LabError
from dmvpn_lab.node import capabilities, config, interfaces, mounted, standalone
from dmvpn_lab.node.supervisor import LOGS, Start, Supervisor, fork, spawn
from dmvpn_lab.rights import CAPABILITIES

LEAVE_S = 1.0
READY = Path("/run/dmvpn-lab/ready")


def main(node: config.NodeConfig | None = None) -> int:
    """Run a node until SIGTERM. READY is there for as long as all its services run.

    Exit codes: 0 ended by a signal, else as documented.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        if node is None:  # a container, which may have been given more than it needs
            capabilities.keep(CAPABILITIES.values())
            mounted.install()
            node = standalone.load()
            _require_rights()
        run(node)
    except DmvpnLabError as error:
        hint = f" ({error.hint})" if error.hint else ""
        print(f"dmvpn-node: {error}{hint}", file=sys.stderr, flush=True)
        return error.exit_code
    except (OSError, LookupError) as error:  # LookupError: an owner that the image does not have
        print(f"dmvpn-node: {error}", file=sys.stderr, flush=True)
        return EXIT_HOST
    return 0


def _require_rights() -> None:
    """Raises HostError without what every node needs: tunnels, and packets of a protocol of its own."""
    if lacks := capabilities.lacking({name: CAPABILITIES[name] for name in ("NET_ADMIN", "NET_RAW")}):
        options = " ".join(f"--cap-add {name}" for name in lacks)
        raise HostError(f"this container lacks {', '.join(lacks)}", hint=f"docker run {options}, as root")


def run(node: config.NodeConfig) -> None:
    """Set up and start everything, say so in READY, then wait for the end."""
    began = time.monotonic()
    phases: dict[str, float] = {}
    supervisor = Supervisor()
    if socket.gethostname() != node.hostname:  # a container has its name already, and may not set it
        socket.sethostname(node.hostname)
    make_directories(node)
    apply_nft(node.nft)  # before any interface is up: nothing may leave in clear
    apply_sysctls(node)
    phases["filter"] = time.monotonic() - began
    interfaces.set_up(node)
    phases["interfaces"] = time.monotonic() - began - phases["filter"]
    units = list(_units(node))
    for path in (str(READY), *(service.ready for service, _ in units if service.ready)):
        Path(path).unlink(missing_ok=True)  # a container that was stopped and started kept its /run
    supervisor.start_all(units)
    interfaces.release(node)
    phases["services"] = time.monotonic() - began - phases["interfaces"] - phases["filter"]
    while not supervisor.ending:
        if supervisor.whole():
            _write_ready(phases, supervisor.ready_after_s)
        else:
            READY.unlink(missing_ok=True)
        supervisor.wait()
    if node.agent:
        leave(load_agent(agent.DEFAULT_CONFIG).control)
    supervisor.end()


def leave(control: Path) -> None:
    """The node is told to end: have its agent take its registrations back, if it is there to ask.

    An agent that just ends leaves them: the next one takes them over.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(LEAVE_S)
        connection.connect(str(control))
        connection.sendall(json.dumps({"v": answers.VERSION, "id": 1, "query": "leave"}).encode() + b"\n")
        connection.recv(4096)  # the requests were sent when it answers


def _units(node: config.NodeConfig) -> Iterator[tuple[config.Service, Start]]:
    """What is started and how: the agent is a fork of this process, the rest are programs."""
    if node.agent:
        told = load_agent(agent.DEFAULT_CONFIG)
        service = config.Service("agent", (), ready=str(told.control), restart=True)
        yield service, lambda: fork("agent", lambda: agent.run(told))
    for service in node.services:
        yield service, functools.partial(spawn, service)


def make_directories(node: config.NodeConfig) -> None:
    """Folders on /run that services expect, each with its owner."""
    for path, owner in node.directories:
        Path(path).mkdir(parents=True, exist_ok=True)
        shutil.chown(path, owner, owner)


def apply_nft(ruleset: str) -> None:
    """Load the packet filter. Raises LabError: without it multicast would leave in clear."""
    if not ruleset:
        return
    done = subprocess.run(["nft", "-f", "-"], input=ruleset, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"nft refused the node's rules: {done.stderr.strip()}")


def apply_sysctls(node: config.NodeConfig) -> None:
    """Write the settings, before interfaces appear, so that `default` reaches them.

    In a container they are read-only: what starts it has set them. Raises LabError when it has not.
    """
    for name, value in node.wished_sysctls:
        with contextlib.suppress(OSError):
            Path("/proc/sys", name.replace(".", "/")).write_text(value)
    for name, value in node.sysctls:
        path = Path("/proc/sys", name.replace(".", "/"))
        try:
            path.write_text(value)
        except OSError as error:
            present = path.read_text().strip()
            if present != value:
                raise LabError(
                    f"{name} is {present}, must be {value}: {error.strerror}",
                    hint=f"docker run --sysctl {name}={value}",
                ) from error


def _write_ready(phases: dict[str, float], services: dict[str, float]) -> None:
    """Seconds of each phase, and when each service was ready, counted from the node's start."""
    document = {"phases": _rounded(phases), "services": _rounded(services)}
    if READY.exists():
        return
    temporary = READY.with_suffix(".part")
    temporary.write_text(json.dumps(document))
    os.replace(temporary, READY)


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in seconds.items()}


if __name__ == "__main__":
    sys.exit(main())
