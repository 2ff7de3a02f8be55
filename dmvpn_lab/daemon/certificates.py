"""The certificates that charon is given, and gives up for new ones when their files change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

KINDS = ("X509CA", "X509", "KEY")
"""Of the files, in the order of the configuration."""
Commands = list[tuple[str, dict[str, Any]]]
"""Of VICI, each with its message."""


class Certificates:
    """The PEM files of one router: CA, certificate, key; or none."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(map(Path, paths))
        self._read: tuple[bytes, ...] = ()

    def load(self) -> Commands:
        """All of them. Raises OSError for a file that cannot be read."""
        self._read = self._contents()
        return [_command(kind, data) for kind, data in zip(KINDS, self._read, strict=False)]

    def renewed(self) -> Commands:
        """In place of those that charon has; nothing while the files are what they were. Raises OSError."""
        return [("clear-creds", {}), *self.load()] if self._contents() != self._read else []

    def _contents(self) -> tuple[bytes, ...]:
        return tuple(path.read_bytes() for path in self._paths)


def _command(kind: str, data: bytes) -> tuple[str, dict[str, Any]]:
    if kind == "KEY":
        return "load-key", {"type": "any", "data": data}
    return "load-cert", {"type": "X509", "flag": "CA" if kind == "X509CA" else "NONE", "data": data}
