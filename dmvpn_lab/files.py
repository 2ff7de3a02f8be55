"""Files that are there whole or not at all, and folders; what the disk refuses is an error with a hint."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from dmvpn_lab.errors import HostError


def write_whole(
    path: Path, content: str | bytes, *, hint: str = "name another file", mode: int = 0o666
) -> None:
    """Write a file beside its place, then put it there; a pipe or a device is written into.

    Raises HostError.
    """
    place = Path(os.path.realpath(path))
    part = place.with_name(f".{place.name}.part")
    data = content.encode() if isinstance(content, str) else content
    try:
        if place.exists() and not place.is_file():
            place.write_bytes(data)
            return
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, mode), "wb") as file:
            file.write(data)
        part.replace(place)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise HostError(f"cannot write {path}: {error.strerror}", hint=hint) from error


def make_folder(path: Path, *, hint: str, mode: int = 0o777) -> Path:
    """A folder and those above it; what is there stays as it is. Raises HostError."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        raise HostError(f"cannot make {path}: {error.strerror}", hint=hint) from error
    return path
