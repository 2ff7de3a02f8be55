"""A backend without nodes: it remembers what it was asked and gives prepared answers."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dmvpn_lab.backends.base import Backend, ExecResult, NodeState, Progress
from dmvpn_lab.backends.routes import Heard
from dmvpn_lab.backends.state import LabFolder
from dmvpn_lab.spec.plan_types import Plan

Answer = Callable[[str, Sequence[str]], ExecResult]
OK = ExecResult((), 0, "", "")


@dataclass(slots=True)
class Recorder:
    """`agents` maps a node to the UNIX socket of whatever plays its agent."""

    name: str = "recorder"
    answer: Answer = lambda node, argv: OK
    agents: dict[str, Path] = field(default_factory=dict)
    done: list[tuple[str, ...]] = field(default_factory=list)
    files: dict[tuple[str, str], str] = field(default_factory=dict)
    following: dict[str, Heard] = field(default_factory=dict)
    """Who hears of a node's routes at the moment."""
    states: tuple[NodeState, ...] = ()

    async def up(self, plan: Plan, files: Mapping[str, Mapping[str, str]], progress: Progress) -> None:
        """Every node runs."""
        self.done.append(("up", plan.lab))
        LabFolder(plan.lab).create()
        self.states = tuple(NodeState(node.name, True, 1) for node in plan.nodes)

    async def down(self, lab: str) -> bool:
        """No node runs."""
        self.done.append(("down", lab))
        self.states = ()
        return LabFolder(lab).remove()

    async def nodes(self, lab: str) -> tuple[NodeState, ...]:
        """As the test says."""
        return self.states

    async def exec(self, lab: str, node: str, argv: Sequence[str], *, timeout_s: float = 60) -> ExecResult:
        """As the test says."""
        self.done.append((node, *argv))
        return self.answer(node, argv)

    async def console(self, lab: str, node: str) -> str:
        """Nothing was printed."""
        return ""

    def enter_argv(self, lab: str, node: str, argv: Sequence[str]) -> list[str]:
        """A command on this host."""
        return [sys.executable, "-c", f"import sys; print({node!r}, sys.argv[1:])", *argv]

    async def put(self, lab: str, node: str, path: str, text: str) -> None:
        """Kept for the test to look at."""
        self.done.append((node, "put", path))
        self.files[node, path] = text

    async def open(self, lab: str, node: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A real stream, to the test's own server."""
        return await asyncio.open_unix_connection(str(self.agents[node]))

    @contextlib.contextmanager
    def routes(self, lab: str, node: str, heard: Heard) -> Iterator[asyncio.Event]:
        """The test tells of the changes, by `following`."""
        self.following[node] = heard
        try:
            yield asyncio.Event()
        finally:
            del self.following[node]


def as_port(recorder: Recorder) -> Backend:
    """mypy compares the signatures."""
    return recorder
