"""The schema of a workshop's `lab.yml`. Its conditions are those of scenarios."""

from __future__ import annotations

import shlex

from pydantic import Field, field_validator

from dmvpn_lab.scenario.model import Condition, Part

TOPOLOGY = "$TOPOLOGY"
"""Stands in a command for the path of the learner's topology file."""


class Edit(Part):
    """A piece of the topology file and what takes its place."""

    replace: str = Field(min_length=1)
    by: str


class Task(Part):
    """One thing to do, and what is so once it is done."""

    task: str = Field(min_length=1)
    done: tuple[Condition, ...] = Field(min_length=1)
    absent: tuple[Condition, ...] = ()
    """What must not be so any more."""


Step = str | Edit
"""The words of a command after `dmvpn-lab`, or an edit of the topology."""


class Workshop(Part):
    """One workshop."""

    title: str = Field(min_length=1)
    slide: str = Field(min_length=1)
    """The deck's slide that it teaches."""
    minutes: int = Field(ge=5, le=30, strict=True)
    broken: bool = False
    """A lab to repair."""
    start: tuple[str, ...] = ()
    """Commands that make the start state of the lab that has come up."""
    tasks: tuple[Task, ...] = Field(min_length=1)
    hints: tuple[str, ...] = Field(min_length=1)
    solution: tuple[Step, ...] = Field(min_length=1)

    @field_validator("start", "solution")
    @classmethod
    def _commands(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        for step in steps:
            if isinstance(step, str):
                try:
                    words = shlex.split(step)
                except ValueError:
                    raise ValueError("a command whose quotes are closed") from None
                if not words or words[0] not in ("up", "exec", "inject"):
                    raise ValueError("a command that begins with up, exec or inject")
        return steps


def command(step: str, lab: str, topology: str) -> list[str]:
    """The words of a command for a lab: `--lab` is put in where the command takes it."""
    words = [topology if word == TOPOLOGY else word for word in shlex.split(step)]
    if words[0] == "up":
        return words
    at = words.index("--") if "--" in words else len(words)
    return [*words[:at], "--lab", lab, *words[at:]]
