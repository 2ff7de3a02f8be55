"""A backend without nodes: it remembers what it was asked and gives prepared answers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dmvpn_lab.backends.base import Backend, ExecResult, NodeState, Progress
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


def as_port(recorder: Recorder) -> Backend:
    """mypy compares the signatures."""
    return recorder


async def agent_that_says(path: Path, *lines: Any) -> asyncio.Server:
    """A server that reads one request and answers with these lines, JSON or raw."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        for line in lines:
            writer.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, str(path))


async def agent_that_knows(path: Path, answers: Mapping[str, Any]) -> asyncio.Server:
    """A server that answers queries; for an unknown one it says so, a subscription it accepts."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            name = request.get("query")
            answer: dict[str, Any] = {"v": 1, "id": request["id"], "ok": name is None or name in answers}
            if answer["ok"]:
                answer["result"] = answers.get(name)
            else:
                answer["error"] = f"unknown query {name!r}"
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(serve, str(path))
