"""What a scenario's run left: each step with its verdict and times, and what the nodes told meanwhile."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from dmvpn_lab.running import Event, RouteChange

Verdict = Literal["passed", "failed", "already", "not run"]
"""`already`: it was so before the act that should cause it."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step of a run."""

    number: int
    """From 1, in the order of the file."""
    kind: str
    """The step's word: `inject`, `expect`, ..."""
    what: str
    verdict: Verdict
    observed: str
    at_s: float | None
    """When it was begun, in seconds since the run began; None: not run."""
    so_at_s: float | None
    """When a condition was so, or an act was done, in seconds since the run began."""
    after_s: float | None
    """A condition: seconds from the act before it until it was so. An act: how long it took."""
    deadline_s: float | None
    """How long it might have taken; None where there is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Security:
    """The IPsec peers of one router when the run began, and its NBMA address."""

    node: str
    nbma: tuple[str, ...]
    peers: tuple[str, ...]
    """NBMA addresses with which it had SAs."""


@dataclass(slots=True)
class Timeline:
    """One run."""

    scenario: str
    title: str
    lab: str
    began: float
    """Wall clock."""
    seed: int | None = None
    """Of a timeline that was drawn."""
    steps: list[StepResult] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    """Of all agents, during the run, in the order of their clocks."""
    routes: list[RouteChange] = field(default_factory=list)
    start: list[Security] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    """What was taken back at the end, though no step said so."""

    @property
    def passed(self) -> bool:
        """Whether every step did what it must."""
        return all(step.verdict == "passed" for step in self.steps)

    def failure(self) -> StepResult | None:
        """The step at which it ended."""
        return next((step for step in self.steps if step.verdict in ("failed", "already")), None)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"passed": self.passed, **asdict(self)}


def verdict_words(step: StepResult) -> str:
    """Why a step failed, as a sentence."""
    if step.verdict == "already":
        return f"step {step.number} proves nothing: it was so before the act: {step.what} ({step.observed})"
    within = "" if step.deadline_s is None else f" within {step.deadline_s:g} s"
    return f"step {step.number} failed: {step.kind} {step.what}{within}; observed: {step.observed}"
