"""What a learner has done: a JSON file, and the topologies that are worked on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from dmvpn_lab import files
from dmvpn_lab.errors import UsageError

HINT = "set XDG_STATE_HOME to a folder that you may write to"


@dataclass(frozen=True, slots=True)
class Entry:
    """How far one workshop is."""

    state: str = "new"
    hints: int = 0
    """How many were read."""
    solved: bool = False
    """Whether the solution was run for the learner."""


def folder() -> Path:
    """In the user's state folder (XDG base directories)."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "dmvpn-lab"


def topology(name: str, base: Path | None = None) -> Path:
    """The topology file that a learner edits; `base` is another learner's folder."""
    return (base or folder()) / "workshops" / name / "topology.yml"


def read(base: Path | None = None) -> dict[str, Entry]:
    """By name of the workshop. Raises UsageError for a file that is damaged."""
    path = (base or folder()) / "workshops.json"
    if not path.exists():
        return {}
    try:
        return {name: Entry(**entry) for name, entry in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: no progress can be read from it: {error}", hint="delete the file"
        ) from error


def write(name: str, entry: Entry, base: Path | None = None) -> None:
    """Keep one; the others stay. The file is never half written."""
    everything = {key: asdict(each) for key, each in (read(base) | {name: entry}).items()}
    write_whole((base or folder()) / "workshops.json", json.dumps(everything, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file, its folder too. Raises HostError."""
    files.make_folder(path.parent, hint=HINT)
    files.write_whole(path, text, hint=HINT)
