"""The embedded backend: each node is a set of namespaces over one root file system.

No Docker, no names in the host: namespaces die with their processes, links with their
namespaces, processes with the lab's control group.
"""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

from dmvpn_lab.backends import links, process, procfs
from dmvpn_lab.backends.base import ExecResult, NodeFiles, NodeState, Progress
from dmvpn_lab.backends.cgroup import Cgroup
from dmvpn_lab.backends.routes import Heard, following
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.errors import HostError, LabError, UsageError
from dmvpn_lab.spec.plan_types import Plan

T = TypeVar("T")
QUIET_S = 120.0
QUIET_EACH_S = 10.0
"""How long no node may become ready, and how much longer for each: they all start at once."""


class NetnsBackend:
    """Nodes in namespaces of this host."""

    name = "netns"

    def __init__(self, root: str | Callable[[], str]) -> None:
        """The nodes' root file system, or what finds it: only a lab that starts needs one."""
        self._root = root

    async def up(self, plan: Plan, files: NodeFiles, progress: Progress) -> None:
        """Start all nodes, wire all links; return when each node said that it is ready."""
        if os.geteuid() != 0:
            raise HostError("the netns backend needs root", hint="run the same command with sudo")
        folder = LabFolder(plan.lab)
        folder.create()
        folder.write_json("backend", self.name)
        try:
            began = time.monotonic()
            await _in_thread(_write_files, folder.path, files)
            pids = await _in_thread(self._fork_nodes, plan, folder)
            folder.write_json("pids", pids)
            progress("nodes", f"{len(pids)} forked in {time.monotonic() - began:.1f} s")
            began = time.monotonic()
            with Cgroup(plan.lab).frozen():  # else the first nodes' services hold up the last links
                await links.wire(plan, pids)
            progress("links", f"{len(plan.links)} wired in {time.monotonic() - began:.1f} s")
            console = functools.partial(self.console, plan.lab)
            await procfs.wait_until_ready(pids, console, QUIET_S + QUIET_EACH_S * len(pids), progress)
        except OSError as error:
            await self.down(plan.lab)
            raise HostError(f"{error.filename or folder.path}: {error.strerror}") from error
        except BaseException:
            await self.down(plan.lab)
            raise

    async def down(self, lab: str) -> bool:
        """Kill the control group, remove the folder."""
        killed = await asyncio.to_thread(Cgroup(lab).kill)
        return LabFolder(lab).remove() or killed

    async def nodes(self, lab: str) -> tuple[NodeState, ...]:
        """From the folder's list of first processes."""
        pids: dict[str, int] = LabFolder(lab).read_json("pids") or {}
        members = set(Cgroup(lab).pids())
        return tuple(NodeState(name, pid in members, pid) for name, pid in pids.items())

    async def exec(self, lab: str, node: str, argv: Sequence[str], *, timeout_s: float = 60.0) -> ExecResult:
        """Run a command in the node's namespaces."""
        return await procfs.run(node, self.enter_argv(lab, node, argv), argv, timeout_s)

    async def console(self, lab: str, node: str) -> str:
        """The log that the warm parent redirected it to."""
        return await asyncio.to_thread(_log, lab, node)

    def enter_argv(self, lab: str, node: str, argv: Sequence[str]) -> list[str]:
        """nsenter into the node's first process."""
        return procfs.enter_argv(self._pid(lab, node), argv)

    async def put(self, lab: str, node: str, path: str, text: str) -> None:
        """Write through /proc/PID/root."""
        await procfs.put(self._pid(lab, node), path, text)

    async def open(self, lab: str, node: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The agent's UNIX socket, reached through /proc/PID/root."""
        return await procfs.open_agent(node, self._pid(lab, node))

    def routes(self, lab: str, node: str, heard: Heard) -> AbstractContextManager[asyncio.Event]:
        """By a socket in the node's network namespace."""
        return following(self._pid(lab, node), heard)

    def _pid(self, lab: str, node: str) -> int:
        pids: dict[str, int] = LabFolder(lab).read_json("pids") or {}
        if node not in pids:
            raise UsageError(f"lab {lab} has no node {node!r}", hint=f"there are: {', '.join(pids)}")
        if pids[node] not in Cgroup(lab).pids():  # its PID may be another's by now
            raise LabError(f"{node} is dead", hint="'dmvpn-lab up' starts its lab anew")
        return pids[node]

    def _fork_nodes(self, plan: Plan, folder: LabFolder) -> dict[str, int]:
        """Start the warm parent inside the lab's control group and let it fork the nodes."""
        root = self._root if isinstance(self._root, str) else self._root()
        cgroup = Cgroup(plan.lab)
        cgroup.create()
        parent = process.start("dmvpn_lab.node.warm", root)
        cgroup.add(parent.pid)
        names = [node.name for node in plan.nodes]
        answers = parent.ask({"root": root if "DMVPN_LAB_WARM" in os.environ else "/",
                              "folder": str(folder.path), "nodes": names})  # fmt: skip
        errors = [f"{a['node']}: {a['error']}" for a in answers if "error" in a]
        if errors or len(answers) != len(names):
            raise LabError("nodes did not start: " + ("; ".join(errors) or "the parent process died"))
        return {answer["node"]: answer["pid"] for answer in answers}


async def _in_thread(make: Callable[..., T], *arguments: Any) -> T:
    """Run a blocking step. A caller that is cancelled waits for its end: nothing is made behind us."""
    step = asyncio.ensure_future(asyncio.to_thread(make, *arguments))
    try:
        return await asyncio.shield(step)
    except asyncio.CancelledError:
        await asyncio.gather(step, return_exceptions=True)
        raise


def _log(lab: str, name: str) -> str:
    log = LabFolder(lab).path / name / "init.log"
    return log.read_text(errors="replace") if log.exists() else ""


def _write_files(folder: Path, files: NodeFiles) -> None:
    """Each node's files, in the upper layer of its file system."""
    for node, texts in files.items():
        for path, text in texts.items():
            target = folder / node / "upper" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
