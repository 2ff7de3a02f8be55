"""A running lab as faults and checks see it: its plan, its nodes' agents, their events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dmvpn_lab import answers
from dmvpn_lab.backends import backend, child
from dmvpn_lab.backends.base import Backend, ExecResult
from dmvpn_lab.backends.routes import Change
from dmvpn_lab.backends.state import LabFolder, is_being_changed, running_labs
from dmvpn_lab.errors import LabError, UsageError, first_error
from dmvpn_lab.spec.plan_types import NodePlan, Plan

ANSWER_DEADLINE_S = 20.0
RECONNECT_S = 0.2
"""Between tries to follow an agent that is not there: nothing tells when it comes."""
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunningLab:
    """One lab on one backend."""

    plan: Plan
    backend: Backend

    def node(self, name: str) -> NodePlan:
        """A node of the plan. Raises UsageError that lists what there is."""
        try:
            return self.plan.node(name)
        except KeyError:
            names = ", ".join(node.name for node in self.plan.nodes)
            raise UsageError(
                f"lab {self.plan.lab} has no node {name!r}", hint=f"there are: {names}"
            ) from None

    def router(self, name: str) -> NodePlan:
        """A router of the plan. Raises UsageError for a host or the ISP router."""
        node = self.node(name)
        if node.kind != "router":
            routers = ", ".join(each.name for each in self.plan.routers())
            raise UsageError(f"{name} is no router", hint=f"routers: {routers}")
        if node.external is not None:
            hint = f"dmvpn-lab exec {name} -- COMMAND"
            raise UsageError(f"{name} is external: it runs no agent", hint=hint)
        return node

    async def exec(self, node: str, *argv: str, timeout_s: float = 60.0) -> ExecResult:
        """Run a command in a node to its end, whatever its exit code."""
        return await self.backend.exec(self.plan.lab, node, argv, timeout_s=timeout_s)

    async def must(self, node: str, *argv: str) -> str:
        """Run a command in a node that has to succeed; its stdout. Raises LabError."""
        done = await self.exec(node, *argv)
        if done.exit_code != 0:
            said = (done.stderr or done.stdout).strip()
            raise LabError(f"{node}: '{' '.join(argv)}' failed with {done.exit_code}: {said}")
        return done.stdout

    async def query(self, node: str, name: str) -> Any:
        """One of `answers.QUERIES` or `answers.COMMANDS` of a node's agent. Raises LabError."""
        async with self._asking(node) as (reader, writer):
            writer.write(json.dumps({"v": answers.VERSION, "id": 1, "query": name}).encode() + b"\n")
            line = await reader.readline()
        return _result(node, line)

    @contextlib.asynccontextmanager
    async def _asking(self, node: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection with a node's agent, which has to answer soon. Raises LabError."""
        reader, writer = await self.backend.open(self.plan.lab, node)
        try:
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                yield reader, writer
        except TimeoutError:
            raise LabError(f"{node}: its agent did not answer in {ANSWER_DEADLINE_S:.0f} s") from None
        except ConnectionError as error:
            raise LabError(f"{node}: its agent closed the connection: {error.strerror}") from error
        finally:
            writer.close()

    async def events(
        self, node: str, *, replay: bool = False, begun: asyncio.Event | None = None
    ) -> AsyncIterator[Event]:
        """Events of a node's agent from now on; with `replay` those before, too.

        Ends when the agent does. `begun` is set once none is missed any more. Raises LabError.
        """
        reader, writer = await self.backend.open(self.plan.lab, node)
        try:
            request = {"v": answers.VERSION, "id": 1, "subscribe": True, "replay": replay}
            writer.write(json.dumps(request).encode() + b"\n")
            _result(node, await reader.readline())
            if begun is not None:
                begun.set()
            while (line := await reader.readline()).endswith(b"\n"):  # else it died in mid-line
                yield {"node": node, **json.loads(line)}
        finally:
            writer.close()

    async def past(self, node: str) -> list[Event]:
        """The events that a node's agent remembers. Raises LabError.

        They come before the answer to a question that is asked after them.
        """
        ask = ({"id": 1, "subscribe": True, "replay": True}, {"id": 2, "query": "status"})
        told: list[Event] = []
        async with self._asking(node) as (reader, writer):
            for each in ask:
                writer.write(json.dumps({"v": answers.VERSION, **each}).encode() + b"\n")
            _result(node, await reader.readline())
            while (line := await reader.readline()).endswith(b"\n"):
                said = json.loads(line)
                if "event" not in said:
                    return told
                told.append({"node": node, **said})
        raise LabError(f"{node}: its agent closed the connection")

    @contextlib.asynccontextmanager
    async def stream(self, node: str, argv: Sequence[str]) -> AsyncIterator[Process]:
        """A command in a node with pipes, for the length of a block; then it is ended."""
        running = await child.start(self.backend.enter_argv(self.plan.lab, node, argv), stdin=PIPE)
        try:
            yield running
        finally:
            await child.end(running)


def find(name: str | None) -> RunningLab:
    """The running lab of that name; without a name, the only one. Raises UsageError."""
    labs = running_labs()
    if name is None and len(labs) > 1:
        raise UsageError(f"{len(labs)} labs are running", hint=f"say which with --lab: {', '.join(labs)}")
    chosen = name or (labs[0] if labs else None)
    if chosen is None or chosen not in labs:
        what = f"lab {name} is not running" if name else "no lab is running"
        raise UsageError(
            what, hint=f"running: {', '.join(labs)}" if labs else "start one with 'dmvpn-lab up'"
        )
    plan = LabFolder(chosen).plan()
    if not isinstance(plan, Plan):
        if is_being_changed(chosen):
            raise LabError(f"lab {chosen} is being started or removed", hint="wait for it")
        raise LabError(
            f"lab {chosen} did not finish starting", hint=f"dmvpn-lab down {chosen}, then up again"
        )
    return RunningLab(plan, backend(LabFolder(chosen).read_json("backend") or "netns"))


def _result(node: str, line: bytes) -> Any:
    """The result in an agent's answer. Raises LabError."""
    if not line.endswith(b"\n"):
        raise LabError(f"{node}: its agent closed the connection")
    answer = json.loads(line)
    if not answer["ok"]:
        raise LabError(f"{node}: its agent: {answer['error']}")
    return answer["result"]


@dataclass(frozen=True, slots=True)
class RouteChange:
    """A route that came or went in a router."""

    at: float
    """Wall clock when it was heard of."""
    node: str
    what: Change
    """The route."""


@dataclass(slots=True)
class Watch:
    """Wakes whoever waits when an agent says something or a route changes, on any router."""

    lab: RunningLab
    seen: list[Event] = field(default_factory=list)
    """Agents' events since the watch began."""
    routes: list[RouteChange] = field(default_factory=list)
    """Changes of the routers' routes since then."""
    limit_s: float | None = None
    """Who waits by a deadline of its own waits no longer than this; None: as long as it likes."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def bounded(self, deadline_s: float) -> float:
        """A deadline, or the limit when that is sooner."""
        return deadline_s if self.limit_s is None else min(deadline_s, self.limit_s)

    async def wait(self, timeout_s: float) -> None:
        """Return at the next change, or after `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        self._changed.clear()

    async def event(self, matches: Callable[[Event], bool], timeout_s: float) -> Event | None:
        """The first event since the beginning that matches; None when none came in time."""
        end = asyncio.get_running_loop().time() + timeout_s
        looked_at = 0
        while True:
            for event in self.seen[looked_at:]:
                if matches(event):
                    return event
            looked_at = len(self.seen)
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            await self.wait(left)

    async def follow_agent(self, node: str, ready: asyncio.Event) -> None:
        """Collect one agent's events; an agent that restarts is followed again, from its beginning."""
        last, replay = 0.0, False
        while True:
            with contextlib.suppress(LabError, ConnectionError):
                async for event in self.lab.events(node, replay=replay, begun=ready):
                    if event["at"] > last:
                        last = event["at"]
                        self.seen.append(event)
                        self._changed.set()
            ready.set()
            replay = True
            await asyncio.sleep(RECONNECT_S)

    async def follow_routes(self, node: str, ready: asyncio.Event) -> None:
        """Wake on each change of a router's routes."""

        def heard(changes: Sequence[Change]) -> None:
            self.routes += (RouteChange(time.time(), node, change) for change in changes)
            self._changed.set()

        with self.lab.backend.routes(self.lab.plan.lab, node, heard) as ended:
            ready.set()
            await ended.wait()


@contextlib.asynccontextmanager
async def watching(lab: RunningLab) -> AsyncIterator[Watch]:
    """A watch on all routers of a lab, for the length of a block."""
    watch = Watch(lab)
    try:
        async with asyncio.TaskGroup() as group:
            begun: list[asyncio.Event] = []
            tasks = []
            for router in lab.plan.agents():
                for follow in (watch.follow_agent, watch.follow_routes):
                    begun.append(asyncio.Event())
                    tasks.append(group.create_task(follow(router.name, begun[-1])))
            try:
                for each in begun:
                    await each.wait()
                yield watch
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
