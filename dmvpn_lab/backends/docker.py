"""Nodes as Docker containers of the node image, with no network of Docker's.

The links are made by the same code as those of `netns`. Everything of a lab bears its label, so
`down` finds it whatever became of the controller.
"""

from __future__ import annotations

import asyncio
import functools
import io
import json
import os
import tarfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from dmvpn_lab.backends import links, procfs
from dmvpn_lab.backends.base import ExecResult, NodeFiles, NodeState, Progress
from dmvpn_lab.backends.routes import Heard, following
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.container import engine, image
from dmvpn_lab.errors import HostError, LabError, UsageError, first_error
from dmvpn_lab.render import node as render_node
from dmvpn_lab.render.containerlab import (
    BACKEND_LABEL,
    HEALTH_START_S,
    LAB_LABEL,
    NODE_LABEL,
    health_interval_s,
)
from dmvpn_lab.rights import CAPABILITIES
from dmvpn_lab.spec.plan_types import Plan

T = TypeVar("T")
START_DEADLINE_S = 600.0
PIDS = "pids"
AT_ONCE = 8
"""Containers that are created, started or removed at the same time."""
NOT_ENDED = "did not receive an exit event"
"""In what the engine says when a container that it killed has not ended yet."""


class DockerBackend:
    """Nodes in containers of this host's Docker engine."""

    name = "docker"
    prefix = "dmvpn-lab"

    async def up(self, plan: Plan, files: NodeFiles, progress: Progress) -> None:
        """Create and start all containers, wire all links; return when each said that it is ready."""
        if os.geteuid() != 0:
            raise HostError("the docker backend needs root", hint="run the same command with sudo")
        await asyncio.to_thread(self._client.ping)
        folder = LabFolder(plan.lab)
        folder.create()
        folder.write_json("backend", self.name)
        try:
            built = await asyncio.to_thread(image.ensure, lambda text: progress("image", text))
            began = time.monotonic()
            names = [node.name for node in plan.nodes]
            create = functools.partial(self._create, plan, built)
            await _each(lambda name: create(name, files[name]), names)
            pids = dict(zip(names, await _each(functools.partial(self._start, plan.lab), names), strict=True))
            progress("nodes", f"{len(pids)} containers started in {time.monotonic() - began:.1f} s")
            self._remember(plan.lab, pids)
            await links.wire(plan, pids)
            progress("links", f"{len(plan.links)} wired")
            console = functools.partial(self.console, plan.lab)
            await procfs.wait_until_ready(pids, console, START_DEADLINE_S, progress)
        except BaseException:
            await self.down(plan.lab)
            raise

    async def down(self, lab: str) -> bool:
        """Remove every container that bears the lab's label, and the folder."""
        found = await asyncio.to_thread(self._containers, lab)
        await _each(self._remove, found)
        return LabFolder(lab).remove() or bool(found)

    async def nodes(self, lab: str) -> tuple[NodeState, ...]:
        """From the engine."""
        found = await asyncio.to_thread(self._containers, lab)
        states = await _each(self._state, found)
        return tuple(sorted(states, key=lambda state: state.name))

    async def exec(self, lab: str, node: str, argv: Sequence[str], *, timeout_s: float = 60.0) -> ExecResult:
        """Run a command with the container's rights; what takes too long is killed."""
        return await procfs.run(node, self.enter_argv(lab, node, argv), argv, timeout_s)

    async def console(self, lab: str, node: str) -> str:
        """`docker logs`."""
        name = self.container_name(lab, node)
        return _text(await asyncio.to_thread(self._client.api.logs, name))

    def enter_argv(self, lab: str, node: str, argv: Sequence[str]) -> list[str]:
        """nsenter, not `docker exec`: it takes a tenth of the time, which checks would measure along,
        and a caller that is killed takes the command with it. setpriv leaves it the container's rights.
        """
        rights = ",".join(["-all", *(f"+{name.lower()}" for name in CAPABILITIES)])
        return procfs.enter_argv(self._pid(lab, node), ["setpriv", f"--bounding-set={rights}", "--", *argv])

    async def put(self, lab: str, node: str, path: str, text: str) -> None:
        """Write through /proc/PID/root: `docker cp` cannot replace a file whole, nor write to /run."""
        await procfs.put(self._pid(lab, node), path, text)

    async def open(self, lab: str, node: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The agent's UNIX socket, reached through /proc/PID/root."""
        return await procfs.open_agent(node, self._pid(lab, node))

    def routes(self, lab: str, node: str, heard: Heard) -> AbstractContextManager[asyncio.Event]:
        """By a socket in the node's network namespace."""
        return following(self._pid(lab, node), heard)

    def container_name(self, lab: str, node: str) -> str:
        """What `docker ps` shows."""
        return f"{self.prefix}-{lab}-{node}"

    # --- blocking steps, each one call or two to the engine ---

    @functools.cached_property
    def _client(self) -> Any:
        client = engine.connect()
        weakref.finalize(self, client.close)
        return client

    def _create(self, plan: Plan, built: str, node: str, files: Mapping[str, str]) -> None:
        seconds = 1_000_000_000
        interval_s = health_interval_s(len(plan.nodes))
        document = json.loads(files[render_node.PATH])
        container = self._client.containers.create(
            built,
            name=self.container_name(plan.lab, node),
            hostname=node,
            labels={LAB_LABEL: plan.lab, NODE_LABEL: node, BACKEND_LABEL: self.name},
            network_mode="none",
            cap_drop=["ALL"],
            cap_add=list(CAPABILITIES),
            sysctls=document["wished_sysctls"] | document["sysctls"],
            tmpfs={"/run": "mode=755"},
            healthcheck={"interval": interval_s * seconds, "start_period": HEALTH_START_S * seconds},
        )
        container.put_archive("/", _archive(files))

    def _start(self, lab: str, node: str) -> int:
        """Start a container; the PID of its first process."""
        self._client.api.start(self.container_name(lab, node))
        return self._inspect(lab, node)

    def _inspect(self, lab: str, node: str) -> int:
        """The PID of a node's first process, from the engine. Raises LabError."""
        from docker.errors import NotFound

        name = self.container_name(lab, node)
        try:
            state = self._client.api.inspect_container(name)["State"]
        except NotFound:
            raise LabError(f"{node}: there is no container {name}") from None
        if not state["Running"]:
            words = _text(self._client.api.logs(name, tail=8)).strip()
            raise LabError(f"{node} is dead: {words}")
        return int(state["Pid"])

    def _remember(self, lab: str, pids: Mapping[str, int]) -> None:
        """Keep the nodes' first processes, so that a command asks the engine for nothing."""
        began = {name: (pid, procfs.start_time(pid)) for name, pid in pids.items()}
        LabFolder(lab).write_json(PIDS, began)

    def _pid(self, lab: str, node: str) -> int:
        pids = LabFolder(lab).read_json(PIDS) or {}
        if node not in pids:
            raise UsageError(f"lab {lab} has no node {node!r}", hint=f"there are: {', '.join(pids)}")
        pid, began = pids[node]
        if began is None or procfs.start_time(pid) != began:
            raise LabError(f"{node} is dead", hint="'dmvpn-lab up' starts its lab anew")
        return int(pid)

    def _containers(self, lab: str) -> list[Any]:
        filters = {"label": [f"{LAB_LABEL}={lab}", f"{BACKEND_LABEL}={self.name}"]}
        found: list[Any] = self._client.containers.list(all=True, filters=filters, ignore_removed=True)
        return found

    def _state(self, container: Any) -> NodeState:
        state = container.attrs["State"]
        running = bool(state["Running"])
        return NodeState(container.labels[NODE_LABEL], running, int(state["Pid"]) if running else None)

    def _remove(self, container: Any) -> None:
        """Kill and remove; one that has been removed meanwhile is no error.

        The engine gives a killed container twelve seconds to end and then refuses to remove it. On a busy
        host that is not enough: it has its SIGKILL, so its end is waited for.
        """
        from docker.errors import APIError, NotFound

        try:
            try:
                container.remove(force=True, v=True)
            except APIError as error:
                if NOT_ENDED not in (error.explanation or ""):
                    raise
                container.wait(timeout=engine.ANSWER_DEADLINE_S)
                container.remove(force=True, v=True)
        except NotFound:
            return


async def _each(step: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
    """Run a blocking step for each item, some at a time. Raises LabError for what Docker refuses.

    A caller that is cancelled waits for the steps that have begun: nothing is made behind it.
    """
    from docker.errors import APIError

    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Any) -> T:
        async with gate:
            running = asyncio.ensure_future(asyncio.to_thread(step, item))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                await asyncio.gather(running, return_exceptions=True)
                raise

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except BaseExceptionGroup as errors:
        error = first_error(errors)
        if isinstance(error, APIError):
            raise LabError(f"Docker refuses: {error.explanation or error}") from error
        raise error from None
    return [task.result() for task in tasks]


def _archive(files: Mapping[str, str]) -> bytes:
    """A tar of a node's files under their paths."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in files.items():
            if path == "/etc/hostname":
                continue  # the engine's own, mounted
            data = text.encode()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _text(data: bytes | None) -> str:
    return (data or b"").decode(errors="replace")
