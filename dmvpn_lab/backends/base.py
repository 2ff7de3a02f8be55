"""The backend port: what a lab needs of the thing that runs its nodes.

Narrow on purpose. Faults and checks are built on these verbs alone, so every backend
inherits them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from dmvpn_lab.backends.routes import Heard
from dmvpn_lab.spec.plan_types import Plan

NodeFiles = Mapping[str, Mapping[str, str]]
"""Node name -> absolute path in the node -> text of the file."""

Progress = Callable[[str, str], None]
"""Called as progress(phase, detail) from the event loop; must return at once."""


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command run in a node left behind."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node of a running lab."""

    name: str
    running: bool
    pid: int | None
    """PID of its first process as seen from the host, where there is one."""


class Backend(Protocol):
    """A way to run the nodes of one lab."""

    name: str

    async def up(self, plan: Plan, files: NodeFiles, progress: Progress) -> None:
        """Start all nodes in parallel, wire all links; return when each node said it is ready.

        Raises LabError (after removing what it made) or HostError.
        """

    async def down(self, lab: str) -> bool:
        """Remove everything of a lab, whatever state it is in; False when there was nothing."""

    async def nodes(self, lab: str) -> tuple[NodeState, ...]:
        """The nodes of a running lab; empty when it is not running."""

    async def exec(self, lab: str, node: str, argv: Sequence[str], *, timeout_s: float = 60.0) -> ExecResult:
        """Run a command in a node to its end. Raises LabError when the node is gone or time is up."""

    async def console(self, lab: str, node: str) -> str:
        """What the node's first process has printed."""

    def enter_argv(self, lab: str, node: str, argv: Sequence[str]) -> list[str]:
        """The host command that runs `argv` in a node on the caller's own terminal."""

    async def put(self, lab: str, node: str, path: str, text: str) -> None:
        """Write a file in a running node, whole or not at all."""

    async def open(self, lab: str, node: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A byte stream to the node's agent control socket."""

    def routes(self, lab: str, node: str, heard: Heard) -> AbstractContextManager[asyncio.Event]:
        """Hear of a node's routes for the length of a block; the event: it has ended. Raises LabError."""
