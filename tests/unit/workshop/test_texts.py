"""What the workshops tell a learner: every command that they name exists."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer

from dmvpn_lab.cli.app import app
from dmvpn_lab.workshop import load, shelf
from dmvpn_lab.workshop.model import Edit

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
NAMED = re.compile(r"[`']dmvpn-lab ([^`']+)[`']")


def exists(words: list[str]) -> bool:
    """Whether the words begin with a command, and a command of that when it is a group."""
    command = COMMANDS.get(words[0])
    inner = getattr(command, "commands", None)
    return command is not None and (inner is None or (len(words) > 1 and words[1] in inner))


@pytest.mark.parametrize("name", shelf.names())
def test_the_commands_in_readme_hints_and_solution_exist(name: str) -> None:
    loaded = load.read(shelf.find(name))
    text = (loaded.folder / "README.md").read_text()
    named = NAMED.findall(text) + [each for hint in loaded.workshop.hints for each in NAMED.findall(hint)]
    assert named, "the texts name no command"
    named += [step for step in (*loaded.workshop.start, *loaded.workshop.solution) if isinstance(step, str)]
    assert [line for line in named if not exists(shlex.split(line))] == []


@pytest.mark.parametrize("name", shelf.names())
def test_the_readme_has_its_parts_and_the_solution_edits_what_is_there(name: str) -> None:
    loaded = load.read(shelf.find(name))
    text = (loaded.folder / "README.md").read_text()
    assert text.startswith(f"# {name[:2]} {loaded.workshop.title.removeprefix('Repair: ')}") or (
        loaded.workshop.broken and text.startswith(f"# {name[:2]} {loaded.workshop.title}")
    )
    for part in (
        "**Goal.**",
        "**Start.**",
        "**Tasks**",
        'Deck: "',
        f"About {loaded.workshop.minutes} minutes.",
    ):
        assert part in text
    assert loaded.workshop.slide in text
    edits = [step for step in loaded.workshop.solution if isinstance(step, Edit)]
    assert (loaded.solved() != loaded.topology) is bool(edits)
    assert loaded.plan.lab == f"workshop-{name[:2]}"


def test_a_text_that_names_a_command_that_is_none_is_found() -> None:
    assert not exists(["frobnicate"])
    assert not exists(["inject", "frobnicate"])
    assert not exists(["workshop"])
    assert exists(["inject", "expire", "hub"])
