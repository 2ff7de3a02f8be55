"""A lab that answers as a test says, and changes when it is acted on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dmvpn_lab.backends.base import ExecResult
from dmvpn_lab.errors import LabError
from dmvpn_lab.running import RunningLab, Watch
from dmvpn_lab.scenario import load, runner
from dmvpn_lab.scenario.model import Scenario
from dmvpn_lab.scenario.timeline import StepResult, Timeline
from dmvpn_lab.spec.plan_types import Plan
from tests.unit.spec.labs import bundled

STATUS = {"tunnels": [{"interface": "tunnel0", "nbma": "172.16.1.1"}]}


@dataclass
class FakeLab:
    """Tables and commands; `on` is what an argv (or the query `clear`) does to it."""

    plan: Plan = field(default_factory=lambda: bundled("hub-and-spoke"))
    tables: dict[tuple[str, str], Any] = field(default_factory=dict)
    exits: dict[tuple[str, ...], tuple[int, str]] = field(default_factory=dict)
    on: dict[tuple[str, ...], Callable[[], None]] = field(default_factory=dict)
    done: list[tuple[str, ...]] = field(default_factory=list)
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.running)

    @property
    def running(self) -> RunningLab:
        """As the code under test takes it."""
        return cast(RunningLab, self)

    async def query(self, node: str, name: str) -> Any:
        """A table of the test's; LabError when there is none."""
        self._did((node, name))
        if name == "status":
            return STATUS
        if name == "clear":
            return None
        if (node, name) not in self.tables:
            raise LabError(f"{node}: its agent closed the connection")
        return self.tables[node, name]

    async def exec(self, node: str, *argv: str) -> ExecResult:
        """Exit code and output as the test says; 0 and nothing."""
        self._did((node, *argv))
        code, said = self.exits.get((node, *argv), (0, ""))
        return ExecResult(argv, code, said, "")

    async def must(self, node: str, *argv: str) -> str:
        """The same, for what has to succeed."""
        done = await self.exec(node, *argv)
        if done.exit_code:
            raise LabError(f"{node}: failed")
        return done.stdout

    def tell(self, event: str, node: str, at: float | None = None, **facts: Any) -> None:
        """An agent tells of an event now."""
        self.watch.seen.append({"event": event, "node": node, "at": at or time.time(), "v": 1, **facts})
        self.watch._changed.set()

    def _did(self, what: tuple[str, ...]) -> None:
        self.done.append(what)
        if what in self.on:
            self.on[what]()


def scenario(folder: Path, steps: str, topology: str = "hub-and-spoke") -> Scenario:
    """A scenario of these steps, read from a file as users' are."""
    path = folder / "x.yml"
    path.write_text(f"scenario: x\ntopology: {topology}\nsteps:\n{steps}")
    return load.read(path).scenario


def run(lab: FakeLab, what: Scenario, said: list[str] | None = None) -> Timeline:
    """Run it to its end."""
    told: list[StepResult] = []
    lab.watch._changed = asyncio.Event()  # of this run's loop
    heard = said if said is not None else []
    timeline = asyncio.run(
        runner.run(lab.running, lab.watch, what, told.append, lambda phase, detail: heard.append(detail))
    )
    assert told == timeline.steps
    return timeline
