"""The agent's state file: one JSON record a line, appended as things change.

Each change costs its own record and not the whole: a batch of registrations is one `write`. Once
there are several times more changes than bindings, the file is written anew beside the old one and
takes its place as a whole. A line that a kill cut off in the middle is ignored, and cut away.

The first line names the boot: times are monotonic, and mean nothing after the next one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from dmvpn_lab.errors import HostError
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.saved import (
    NOTHING,
    Changes,
    Key,
    Record,
    Saved,
    bind_lines,
    bindings_of,
    gone_line,
    renew_lines,
    renewals_of,
)

VERSION = 2
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ID_BLOCK = 1024
"""Request IDs are reserved by so many: a restart skips some, and not each request is a write."""
GARBAGE = 8
"""The file is written anew when it tells so many times more changes than there are bindings ..."""
LEAST_CHANGES = 1024
"""... and at least this many."""
SIZE_LIMIT = 64 << 20
"""Octets; a file larger than this is not one of ours."""


class Journal:
    """The state file of one agent. Without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None
        self._bindings: dict[Key, Binding] = {}
        """Those that the file tells of, as they are now."""
        self._reserved = -1
        self._changes = 0
        """Told in the file."""
        self.found = False
        """An earlier agent of this boot left a file that could be read."""
        self.failed = False
        """The file could not be written, and was given up."""

    def open(self) -> Saved:
        """Read what an earlier agent left and begin a file with just that. Raises HostError."""
        if self._path is None:
            return NOTHING
        saved = self._read(self._path)
        try:
            self._begin(self._path)
        except OSError as error:
            raise HostError(f"state file {self._path}: {error.strerror}") from error
        return saved

    def write(self, changes: Changes) -> None:
        """Append what changed, in one system call.

        When that fails (a full disk) the file goes: one that is not true is worse than none.
        """
        if self._path is None or self._file is None:
            return
        lines = self._lines_of(changes)
        if not lines:
            return
        self._changes += len(changes.bindings)
        for _, (_, told) in changes.renewed:
            self._changes += len(told)
        try:
            if self._changes > max(LEAST_CHANGES, GARBAGE * len(self._bindings)):
                self._begin(self._path)
            else:
                _write(self._file, "".join(lines).encode())
        except OSError:
            self.failed = True
            self.close()
            self._path.unlink(missing_ok=True)

    def _lines_of(self, changes: Changes) -> list[str]:
        lines: list[str] = []
        if not changes.last_id <= self._reserved < changes.last_id + 2 * ID_BLOCK:
            self._reserved = changes.last_id + ID_BLOCK
            lines.append(_id_line(self._reserved))
        if changes.renewed:
            lines += renew_lines(changes.renewed)
        if not changes.bindings:
            return lines
        bound: list[tuple[int, Binding]] = []
        for domain, protocol, binding in changes.bindings:
            if binding is not None:
                self._bindings[domain, binding.octets] = binding
                bound.append((domain, binding))
            elif self._bindings.pop((domain, protocol.packed), None) is not None:
                lines.append(gone_line(domain, protocol))
        return lines + bind_lines(bound)

    def close(self) -> None:
        """Close the file; it stays, for the next agent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _begin(self, path: Path) -> None:
        """Write all that counts into a new file, which then takes the old one's place."""
        temporary = path.with_name(path.name + ".part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        new = os.open(temporary, flags, 0o600)
        lines = [json.dumps({"version": VERSION, "boot": _boot()}), "\n"]
        if self._reserved >= 0:
            lines.append(_id_line(self._reserved))
        lines += bind_lines((domain, binding) for (domain, _), binding in self._bindings.items())
        try:
            _write(new, "".join(lines).encode())
            os.replace(temporary, path)
        except OSError:
            os.close(new)
            raise
        self.close()
        self._file, self._changes = new, len(self._bindings)

    def _read(self, path: Path) -> Saved:
        """What a file says, and the lines to begin the next one with."""
        try:
            if path.stat().st_size > SIZE_LIMIT:
                return NOTHING
            lines = path.read_bytes().split(b"\n")[:-1]  # what has no end of line was cut off
            head = json.loads(lines[0])
        except (OSError, ValueError, IndexError):
            return NOTHING
        if not isinstance(head, dict) or (head.get("version"), head.get("boot")) != (VERSION, _boot()):
            return NOTHING
        self.found = True
        for line in lines[1:]:
            try:
                self._replay(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # one record that cannot be read is not the others' trouble
        return Saved(self._reserved if self._reserved >= 0 else None, tuple(self._bindings.values()))

    def _replay(self, record: Record) -> None:
        if "id" in record:
            self._reserved = int(record["id"])
        elif "bind" in record:
            for binding in bindings_of(record):
                self._bindings[int(record["bind"]), binding.octets] = binding
        elif "renew" in record:
            for key, expires, request_id in renewals_of(record):
                if key in self._bindings:
                    self._bindings[key].expires, self._bindings[key].request_id = expires, request_id
        elif "gone" in record:
            self._bindings.pop((int(record["gone"]), bytes.fromhex(record["protocol"])), None)


def _id_line(last_id: int) -> str:
    return f'{{"id":{last_id}}}\n'


def _write(file: int, data: bytes) -> None:
    """All of it: on a full disk `write` takes a part, and says why at the next call."""
    while data:
        data = data[os.write(file, data) :]


def _boot() -> str:
    return BOOT_ID.read_text().strip()
