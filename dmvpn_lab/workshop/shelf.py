"""Which workshops there are, and their tasks alone: all that a look into a lab needs of one."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from dmvpn_lab.errors import UsageError
from dmvpn_lab.spec import load as yaml_file
from dmvpn_lab.workshop.model import Workshop

PACKAGE = Path(__file__).resolve().parent.parent
KEYS = "the keys title, slide, minutes, tasks, hints and solution"


def bundled() -> Path:
    """`lab/` of a checkout, or its copy in an installed wheel."""
    installed = PACKAGE / "_lab"
    return installed if installed.is_dir() else PACKAGE.parent / "lab"


def names() -> list[str]:
    """Of all workshops, in order."""
    return sorted(path.parent.name for path in bundled().glob("[0-9][0-9]-*/lab.yml"))


def find(name: str) -> Path:
    """The folder of a workshop, by its name or its number. Raises UsageError."""
    found = [each for each in names() if name in (each, each[:2]) or name == each[:2].lstrip("0")]
    if not found:
        raise UsageError(f"there is no workshop {name!r}", hint=f"one of: {', '.join(names())}")
    return bundled() / found[0]


def lab(folder: Path) -> str:
    """The name of its lab."""
    return f"workshop-{folder.name[:2]}"


def workshop(folder: Path) -> Workshop:
    """As its file says, without a look at whether it fits its topology. Raises UsageError, TopologyError."""
    path = folder / "lab.yml"
    try:
        return Workshop.model_validate(yaml_file.load(path, KEYS).data)
    except ValidationError as error:
        raise UsageError(f"{path}: no workshop", hint="dmvpn-lab workshop list") from error
