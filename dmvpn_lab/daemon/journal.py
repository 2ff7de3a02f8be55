"""The agent's state file: one JSON record a line, appended as things change.

Each change costs its own line and not the whole: a batch of registrations is one `write`. Once
there are several times more lines than bindings, the file is written anew beside the old one and
takes its place as a whole. A line that a kill cut off in the middle is ignored, and cut away.

The first line names the boot: times are monotonic, and mean nothing after the next one.
"""

from __future__ import annotations

import json
import os
from ipaddress import ip_address
from pathlib import Path

from dmvpn_lab.errors import HostError
from dmvpn_lab.nhrp.cache import Binding
from dmvpn_lab.nhrp.saved import (
    NOTHING,
    Changes,
    Key,
    Record,
    Saved,
    binding_of,
    record_of,
    renewal_of,
    renewed,
)

VERSION = 1
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ID_BLOCK = 1024
"""Request IDs are reserved by so many: a restart skips some, and not each request is a write."""
GARBAGE = 4
"""The file is written anew when it has so many times more lines than bindings ..."""
LEAST_LINES = 1024
"""... and at least this many."""
SIZE_LIMIT = 64 << 20
"""Octets; a file larger than this is not one of ours."""


class Journal:
    """The state file of one agent. Without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None
        self._bindings: dict[Key, bytes] = {}
        """The newest line of each binding."""
        self._renewals: dict[Key, bytes] = {}
        """The newest line of its renewals since then."""
        self._reserved = -1
        self._lines = 0
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
        self._lines += len(lines)
        try:
            if self._lines > max(LEAST_LINES, GARBAGE * len(self._bindings)):
                self._begin(self._path)
            elif lines:
                _write(self._file, b"".join(lines))
        except OSError:
            self.failed = True
            self.close()
            self._path.unlink(missing_ok=True)

    def _lines_of(self, changes: Changes) -> list[bytes]:
        lines = []
        if not changes.last_id <= self._reserved < changes.last_id + 2 * ID_BLOCK:
            self._reserved = changes.last_id + ID_BLOCK
            lines.append(_line({"id": self._reserved}))
        for domain, protocol, binding in changes.bindings:
            line = _line(record_of(domain, protocol, binding))
            self._renewals.pop((domain, protocol), None)
            if binding is not None:
                self._bindings[domain, protocol] = line
            elif self._bindings.pop((domain, protocol), None) is None:
                continue
            lines.append(line)
        for domain, binding in changes.renewed:
            line = renewal_of(domain, binding).encode() + b"\n"
            self._renewals[domain, binding.protocol] = line
            lines.append(line)
        return lines

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
        lines = [_line({"version": VERSION, "boot": _boot()})]
        if self._reserved >= 0:
            lines.append(_line({"id": self._reserved}))
        lines += [*self._bindings.values(), *self._renewals.values()]
        try:
            _write(new, b"".join(lines))
            os.replace(temporary, path)
        except OSError:
            os.close(new)
            raise
        self.close()
        self._file, self._lines = new, len(lines)

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
        bindings: dict[Key, Binding] = {}
        for line in lines[1:]:
            try:
                self._replay(json.loads(line), line, bindings)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # one record that cannot be read is not the others' trouble
        return Saved(self._reserved if self._reserved >= 0 else None, tuple(bindings.values()))

    def _replay(self, record: Record, line: bytes, bindings: dict[Key, Binding]) -> None:
        if "id" in record:
            self._reserved = int(record["id"])
        elif "bind" in record:
            binding = binding_of(record)
            key = int(record["bind"]), binding.protocol
            bindings[key], self._bindings[key] = binding, line + b"\n"
            self._renewals.pop(key, None)
        elif "renew" in record:
            key = int(record["renew"]), ip_address(record["protocol"])
            bindings[key] = renewed(bindings[key], record)
            self._renewals[key] = line + b"\n"
        elif "gone" in record:
            key = int(record["gone"]), ip_address(record["protocol"])
            for each in (self._bindings, self._renewals, bindings):
                each.pop(key, None)


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _write(file: int, data: bytes) -> None:
    """All of it: on a full disk `write` takes a part, and says why at the next call."""
    while data:
        data = data[os.write(file, data) :]


def _boot() -> str:
    return BOOT_ID.read_text().strip()
