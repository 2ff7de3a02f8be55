"""Which files a command needs in the machine, and what it may write back."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

from dmvpn_lab.errors import UsageError

PACKAGE = Path(__file__).resolve().parent.parent
PROJECT_PARTS = ("tests", "topologies", "tools", "images", "lab", "docs",
                 "pyproject.toml", "README.md", "constraints.txt")  # fmt: skip
LEFT_OUT = frozenset({"__pycache__", "node_modules"})
LIMIT = 64 * 1024 * 1024
"""Octets at the most that travel into the machine for one command."""

Manifest = dict[str, tuple[int, int]]
"""Absolute path -> (size in octets, mtime in nanoseconds)."""


def manifest(argv: Sequence[str], cwd: Path) -> Manifest:
    """Our package, the checkout around it, and every file or folder named on the command line."""
    found: Manifest = {}
    _add(found, PACKAGE)
    if (PACKAGE.parent / "pyproject.toml").is_file():
        for part in PROJECT_PARTS:
            _add(found, PACKAGE.parent / part)
    for word in argv:
        value = word.rpartition("=")[2]
        if value and not value.startswith("-") and (cwd / value).exists():
            _add(found, (cwd / value).absolute())
    total = sum(size for size, _ in found.values())
    if total > LIMIT:
        raise UsageError(
            f"the files named on the command line have {total} octets; the machine takes {LIMIT}",
            hint="name a smaller folder",
        )
    return found


def outputs(argv: Sequence[str], cwd: Path) -> tuple[list[str], list[str]]:
    """Files outside `cwd` that the command may write, and the folders they are in."""
    files = []
    for word in argv:
        value = word.rpartition("=")[2]
        path = (cwd / value).absolute() if value and "/" in value else None
        if path and not path.is_relative_to(cwd) and path.parent.is_dir() and not path.is_dir():
            files.append(str(path))
    return files, [str(Path(file).parent) for file in files]


def pack(paths: Sequence[str]) -> bytes:
    """A tar of these files under their absolute names, with their times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in paths:
            archive.add(path, arcname=path, recursive=False)
    return buffer.getvalue()


def unpack(data: bytes, cwd: Path, expected: Sequence[str]) -> None:
    """Write what the command wrote: below `cwd`, or one of the `expected` files; nothing else."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            path = Path("/") / member.name
            allowed = path.is_relative_to(cwd) or str(path) in expected
            source = archive.extractfile(member) if member.isfile() and ".." not in path.parts else None
            if allowed and source is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = path.with_name(f".{path.name}.part")
                temporary.write_bytes(source.read())
                temporary.replace(path)


def _add(found: Manifest, path: Path) -> None:
    if path.is_file():
        status = path.stat()
        found[str(path)] = (status.st_size, status.st_mtime_ns)
    elif path.is_dir():
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(n for n in folders if n not in LEFT_OUT and not n.startswith("."))
            for name in names:
                _add(found, Path(folder) / name)
