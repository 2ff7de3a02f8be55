"""The first process of every node: interfaces, packet filter, services, agent; then it reaps.

Also a container's entry point: `python3 -m dmvpn_lab.node.init`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from dmvpn_lab.daemon import __main__ as agent
from dmvpn_lab.daemon.config import load as load_agent
from dmvpn_lab.errors import DmvpnLabError, LabError
from dmvpn_lab.node import config, interfaces
from dmvpn_lab.node.supervisor import LOGS, Supervisor, fork

READY = Path("/run/dmvpn-lab/ready")


def main() -> int:
    """Run a node until SIGTERM. Exit codes: 0 ended by a signal, else as documented."""
    LOGS.mkdir(parents=True, exist_ok=True)
    try:
        run(config.load())
    except DmvpnLabError as error:
        print(f"dmvpn-node: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def run(node: config.NodeConfig) -> None:
    """Set up and start everything, say so in READY, then wait for the end."""
    began = time.monotonic()
    phases: dict[str, float] = {}
    supervisor = Supervisor()
    make_directories(node)
    apply_nft(node.nft)  # before any interface is up: nothing may leave in clear
    apply_sysctls(node)
    asyncio.run(interfaces.set_up(node))
    phases["interfaces"] = time.monotonic() - began
    if node.agent:
        supervisor.run("agent", lambda: fork("agent", start_agent), restart=True)
    supervisor.start_services(node.services)
    phases["services"] = time.monotonic() - began - phases["interfaces"]
    if not supervisor.ending:
        _write_ready(phases)
    while not supervisor.ending:
        supervisor.wait()
    supervisor.end()


def start_agent() -> None:
    """The NHRP agent, in a fork of this process."""
    agent.run(load_agent(agent.DEFAULT_CONFIG))


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
    """Write the settings, before interfaces appear, so that `default` reaches them."""
    for name, value in node.sysctls:
        Path("/proc/sys", name.replace(".", "/")).write_text(value)


def _write_ready(phases: dict[str, float]) -> None:
    rounded = {name: round(seconds, 3) for name, seconds in phases.items()}
    temporary = READY.with_suffix(".part")
    temporary.write_text(json.dumps({"phases": rounded}))
    os.replace(temporary, READY)


if __name__ == "__main__":
    sys.exit(main())
