"""Which files a command needs in the machine, and what it may write back."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from dmvpn_lab.errors import UsageError
from dmvpn_lab.files import make_folder, write_whole

PACKAGE = Path(__file__).resolve().parent.parent
PROJECT_PARTS = ("tests", "topologies", "tools", "images", "lab", "docs",
                 "pyproject.toml", "README.md", "constraints.txt")  # fmt: skip
LEFT_OUT = frozenset({"__pycache__", "node_modules"})
IN_A_NODE = frozenset({"exec", "shell"})
SYSTEM = frozenset(
    {"/", "/boot", "/dev", "/etc", "/opt", "/proc", "/run", "/srv", "/sys", "/tmp", "/usr", "/var"}
)
"""Folders in which the machine has files of its own, which are not the host's."""
LIMIT = 64 * 1024 * 1024
"""Octets at the most that travel into the machine for one command."""

ROOM = "make room, or write elsewhere"

Manifest = dict[str, tuple[int, int]]
"""Absolute path -> (size in octets, mtime in nanoseconds)."""


def manifest(module: str | None, argv: Sequence[str], cwd: Path) -> Manifest:
    """Our package, the checkout around it, and every file or folder named on the command line."""
    found: Manifest = {}
    _add(found, PACKAGE)
    if (PACKAGE.parent / "pyproject.toml").is_file():
        for part in PROJECT_PARTS:
            _add(found, PACKAGE.parent / part)
    for path in _named(module, argv, cwd):
        _add(found, path)
    total = sum(size for size, _ in found.values())
    if total > LIMIT:
        raise UsageError(
            f"the files named on the command line have {total} octets; the machine takes {LIMIT}",
            hint="name a smaller folder",
        )
    return found


def outputs(module: str | None, argv: Sequence[str], cwd: Path) -> list[str]:
    """The files that one of our commands may write: those that its options name."""
    if module is None:
        return []
    options = [word for before, word in pairwise(argv) if before.startswith("-") or word.startswith("-")]
    named = _named(module, [*argv[:1], *options], cwd)
    return [str(path) for path in named if os.path.isdir(path.parent) and not os.path.isdir(path)]


def _named(module: str | None, argv: Sequence[str], cwd: Path) -> list[Path]:
    """What the words of a command line name if they name files.

    What runs in a node names files of the node. A program in the machine (`module` is None) is
    given what is below the working folder; `/etc/hosts` is the machine's own.
    """
    if module is not None:
        argv = argv[: argv.index("--")] if "--" in argv else argv
        argv = [] if argv[:1] and argv[0] in IN_A_NODE else argv[1:]
    values = [word.rpartition("=")[2] for word in argv]
    paths = [Path(os.path.normpath(cwd / value)) for value in values if value and not value.startswith("-")]
    return paths if module is not None else [path for path in paths if _below(path, cwd)]


def pack(paths: Sequence[str]) -> bytes:
    """A tar of these files under their absolute names, with their times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in paths:
            archive.add(path, arcname=path, recursive=False)
    return buffer.getvalue()


def unpack(data: bytes, below: Path | None, expected: Sequence[str], sent: Manifest) -> list[str]:
    """Write what the command wrote: the `expected` files, and what is not hidden `below` a folder.

    A file that was `sent` and has been changed here since is kept; returns those. What is larger when it
    is unpacked is not unpacked: that is neither a compressed archive nor a file with holes.
    Raises tarfile.TarError and HostError.
    """
    kept = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            path = Path("/") / member.name
            allowed = str(path) in expected or (below is not None and _below(path, below))
            plain = member.isfile() and member.size <= len(data)
            source = archive.extractfile(member) if allowed and plain else None
            if source is None:
                continue
            content = source.read()
            if _changed_here(path, sent):
                kept += [str(path)] if path.read_bytes() != content else []
            else:
                make_folder(path.parent, hint=ROOM)
                write_whole(path, content, hint=ROOM)
    return kept


def _changed_here(path: Path, sent: Manifest) -> bool:
    """Whether a file is another than the one that travelled. One that was deleted may come back."""
    if str(path) not in sent or not path.is_file():
        return False
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) != sent[str(path)]


def _below(path: Path, folder: Path) -> bool:
    """Whether a path is in a folder that is the user's own, and nothing hidden."""
    if str(folder) in SYSTEM or not path.is_relative_to(folder):
        return False
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _add(found: Manifest, path: Path) -> None:
    """A file, or all of a folder; nothing for a word that names none, however long it is."""
    if os.path.isfile(path):
        status = path.stat()
        found[str(path)] = (status.st_size, status.st_mtime_ns)
    elif os.path.isdir(path):
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(n for n in folders if n not in LEFT_OUT and not n.startswith("."))
            for name in names:
                _add(found, Path(folder) / name)
