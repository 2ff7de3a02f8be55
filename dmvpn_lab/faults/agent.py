"""A router's agent as faults reach it: its process, its links, its state file."""

from __future__ import annotations

import re

from dmvpn_lab.errors import LabError
from dmvpn_lab.render.agent import SOCKET, STATE
from dmvpn_lab.running import RunningLab

PID = re.compile(r"pid=(\d+)")


async def pid_of(lab: RunningLab, node: str) -> str:
    """The process that listens on the control socket. Raises LabError."""
    said = await lab.must(node, "ss", "-xlpH", "src", SOCKET)
    found = PID.search(said)
    if found is None:
        raise LabError(f"{node}: nobody listens on {SOCKET}", hint=f"dmvpn-lab logs {node}")
    return found[1]


async def forget_everything(lab: RunningLab, node: str) -> str:
    """End the agent with its links and its state file, as a reboot does; returns its process.

    It is held meanwhile, else it would make its links again.
    """
    pid = await pid_of(lab, node)
    await lab.must(node, "kill", "-STOP", pid)
    await lab.must(node, "rm", "-f", STATE)
    for tunnel in lab.router(node).tunnels:
        await lab.must(node, "ip", "link", "delete", tunnel.name)
    await lab.must(node, "kill", "-KILL", pid)
    return pid
