"""The exception tree: every error that this project raises on purpose.

    DmvpnLabError                 carries the exit code that the command line returns
    +-- TopologyError             the topology file is wrong (exit 2); holds every Problem at once
    +-- UsageError                the command is wrong: an unknown node, a lab that is not up (exit 2)
    +-- HostError                 this host cannot run it: privilege, kernel, tool, disk (exit 3)
    +-- LabError                  a running lab misbehaved: a node died, a wait ran out (exit 1)
    +-- PacketError               a packet that must not be used
        +-- DecodeError           malformed bytes; `code` is the RFC 2332 error code, `offset` the octet

Node side and lab side share this file; it imports nothing of the project.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EXIT_OK = 0
EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_HOST = 3
EXIT_INTERRUPTED = 130


class DmvpnLabError(Exception):
    """Base of the tree. `hint` says what to do about it; `exit_code` is the process's."""

    exit_code = EXIT_CHECK_FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(f"what to do: {hint}")


class LabError(DmvpnLabError):
    """A running lab misbehaved: a node died, a service did not start, a wait ran out."""


class UsageError(DmvpnLabError):
    """The command is wrong: an unknown node, a lab that is not running, a bad option."""

    exit_code = EXIT_USAGE


class HostError(DmvpnLabError):
    """This host cannot run it: no privilege, no GRE, a missing program, a full disk."""

    exit_code = EXIT_HOST


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a topology file."""

    file: str
    line: int
    """1-based."""
    column: int
    """1-based."""
    path: str
    """Where in the document, dotted: `nodes.spoke-a.nbma`."""
    message: str
    """What is wrong."""
    expected: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.path or 'document'}: {self.message}"
        if self.expected:
            text += f"\n    expected: {self.expected}"
        if self.hint:
            text += f"\n    hint: {self.hint}"
        return text


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain exception in a group: what a TaskGroup wrapped."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class TopologyError(DmvpnLabError):
    """The topology file is wrong. Holds all its problems once, in the order of the file."""

    exit_code = EXIT_USAGE

    def __init__(self, problems: Iterable[Problem]) -> None:
        once = {(each.line, each.column, each.path, each.message): each for each in problems}
        self.problems = tuple(sorted(once.values(), key=lambda each: (each.line, each.column)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class PacketError(DmvpnLabError):
    """A packet that must not be used."""


class DecodeError(PacketError):
    """Malformed bytes. The only exception that a decoder raises.

    `code` is the error code of RFC 2332 section 5.2.7 that fits; `offset` is the octet
    at which decoding stopped, counted from the start of the NHRP packet.
    """

    def __init__(self, message: str, *, code: int, offset: int) -> None:
        super().__init__(f"{message} (at octet {offset})")
        self.code = code
        self.offset = offset
