"""Files between the client's host and the machine: those that a command needs, and those that it wrote."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tarfile
from pathlib import Path

import wire
from wire import Kind


def take_files(connection: socket.socket, manifest: dict) -> None:
    """Ask for the files that differ from those here (by size and time), and write them."""
    need = []
    for path, (size, mtime_ns) in manifest.items():
        try:
            here = os.stat(path)
        except OSError:
            need.append(path)
            continue
        if here.st_size != size or here.st_mtime_ns // 1_000_000_000 != mtime_ns // 1_000_000_000:
            need.append(path)
    remove_vanished(manifest)
    wire.send_json(connection, Kind.NEED, need)
    frame = wire.receive_frame(connection)
    if frame is None or frame[0] is not Kind.FILES:
        raise wire.WireError("no files came")
    with tarfile.open(fileobj=io.BytesIO(frame[1])) as archive:
        archive.extractall("/", filter="tar")


def remove_vanished(manifest: dict) -> None:
    """Drop modules that the project no longer has, in the folders that the client sent whole."""
    folders = {os.path.dirname(path) for path in manifest if path.endswith(".py")}
    for folder in folders:
        for path in Path(folder).glob("*.py"):
            if str(path) not in manifest:
                path.unlink()


def listing(below: str | None, outputs: list) -> dict:
    """Path -> (size, mtime_ns) of what a command may have written: below a folder, and by name."""
    found = {}
    for folder, folders, names in os.walk(below) if below is not None else ():
        folders[:] = [n for n in folders if not n.startswith(".") and n != "__pycache__"]
        for name in names:
            note(found, os.path.join(folder, name))
    for path in outputs:
        note(found, path)
    return found


def note(found: dict, path: str) -> None:
    """Add a regular file to a listing."""
    with contextlib.suppress(OSError):
        if os.path.isfile(path) and not os.path.islink(path):
            status = os.stat(path)
            found[path] = (status.st_size, status.st_mtime_ns)


def send_written(connection: socket.socket, before: dict, after: dict) -> None:
    """Send back each file that is new or changed. One that is gone again, or grows, is as it was read."""
    changed = [path for path, fact in after.items() if before.get(path) != fact]
    if changed:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in changed:
                with contextlib.suppress(OSError):
                    data, member = Path(path).read_bytes(), archive.gettarinfo(path, path)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
        wire.send_frame(connection, Kind.WRITTEN, buffer.getvalue())
