"""The schema of a scenario file: steps, and the conditions that they wait for.

A step is known by its first word (`inject`, `expect`, ...), a condition by its own (`event`,
`entry`, ...). docs/scenarios.md says what each does.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from dmvpn_lab.scenario.values import Argv, Duration
from dmvpn_lab.spec.names import NAME


class Part(BaseModel):
    """What all parts of a scenario have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


# --- conditions ---


class EventHappened(Part):
    """An agent told of an event since the last act."""

    event: str
    node: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict)


class CheckPasses(Part):
    """One of the lab's checks passes; with `node`, in what it says of that node."""

    check: str
    node: str | None = None


class EntryExists(Part):
    """A router's table has an entry with these values."""

    entry: str
    node: str
    has: dict[str, Any] = Field(min_length=1)


class PingAnswered(Part):
    """A node gets an answer to one ping of an address, or of a host."""

    ping: str
    from_: str = Field(alias="from")


class PathTaken(Part):
    """Packets of a node to an address, or to a host, take these hops."""

    path: str
    from_: str = Field(alias="from")
    hops: tuple[str, ...] = Field(min_length=1)


class CommandSays(Part):
    """A command in a node succeeds, and prints a text."""

    command: Argv
    node: str
    says: str


CONDITIONS = {
    "event": EventHappened,
    "check": CheckPasses,
    "entry": EntryExists,
    "ping": PingAnswered,
    "path": PathTaken,
    "command": CommandSays,
}


def _first(words: Any, value: Any) -> str | None:
    """The word that tells what a mapping, or a part, is."""
    if isinstance(value, dict):
        return next((word for word in words if word in value), None)
    return next((word for word, kind in words.items() if type(value) is kind), None)


def _condition_word(value: Any) -> str | None:
    return _first(CONDITIONS, value)


Condition = Annotated[
    Annotated[EventHappened, Tag("event")]
    | Annotated[CheckPasses, Tag("check")]
    | Annotated[EntryExists, Tag("entry")]
    | Annotated[PingAnswered, Tag("ping")]
    | Annotated[PathTaken, Tag("path")]
    | Annotated[CommandSays, Tag("command")],
    Discriminator(_condition_word),
]

# --- steps ---


class StepPart(Part):
    """What every step may have."""

    name: str | None = None
    """For people; else the step is told by what it does."""


class Inject(StepPart):
    """Do a fault to a node. The fault's own options stand beside `inject` and `node`."""

    inject: str
    node: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _options_apart(cls, data: Any) -> Any:
        if not isinstance(data, dict) or isinstance(data.get("options"), dict):
            return data
        own = ("inject", "node", "name")
        options = {key: value for key, value in data.items() if key not in own}
        return {key: data[key] for key in own if key in data} | {"options": options}


class Trigger(StepPart):
    """Run a command in a node, to its end."""

    trigger: Argv
    node: str
    restore: Argv | None = None
    """A command that takes back what `trigger` did; run by `undo`, or when the scenario ends."""
    may_fail: bool = Field(default=False, alias="may-fail")


class Clear(StepPart):
    """A router forgets what it has resolved."""

    clear: str


class Undo(StepPart):
    """Undo a fault, or a trigger that has a `restore`: the newest, or all."""

    undo: Literal["newest", "all"]


class Expect(StepPart):
    """What the act causes: not so before it, so within a time after it."""

    expect: Condition
    within: Duration | None = None


class Settle(StepPart):
    """What must be so within a time, whether or not it was so before."""

    settle: Condition
    within: Duration | None = None


class Absent(StepPart):
    """What is not so now; with `for`, all that time."""

    absent: Condition
    for_: Duration = Field(default=0.0, alias="for")


class Hold(StepPart):
    """What stays so all the time."""

    hold: Condition
    for_: Duration = Field(alias="for")


STEPS: dict[str, type[StepPart]] = {
    "inject": Inject,
    "trigger": Trigger,
    "clear": Clear,
    "undo": Undo,
    "expect": Expect,
    "settle": Settle,
    "absent": Absent,
    "hold": Hold,
}
Act = Inject | Trigger | Clear | Undo
ACTS = (Inject, Trigger, Clear, Undo)


def step_word(value: Any) -> str | None:
    """The word by which a step, or the mapping that it is read from, is known."""
    return _first(STEPS, value)


Step = Annotated[
    Annotated[Inject, Tag("inject")]
    | Annotated[Trigger, Tag("trigger")]
    | Annotated[Clear, Tag("clear")]
    | Annotated[Undo, Tag("undo")]
    | Annotated[Expect, Tag("expect")]
    | Annotated[Settle, Tag("settle")]
    | Annotated[Absent, Tag("absent")]
    | Annotated[Hold, Tag("hold")],
    Discriminator(step_word),
]


class Scenario(Part):
    """One scenario."""

    scenario: str = Field(pattern=NAME)
    title: str = ""
    topology: str
    steps: tuple[Step, ...]
