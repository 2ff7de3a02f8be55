"""What the programs of a node have printed: its first process and each of its services."""

from __future__ import annotations

from collections.abc import Sequence

from dmvpn_lab.errors import UsageError
from dmvpn_lab.running import RunningLab

FOLDER = "/run/dmvpn-lab/log"
LINES = 500
"""The last lines of each program."""


async def services(lab: RunningLab, node: str) -> list[str]:
    """The programs that have a log in a node."""
    listed = await lab.exec(node, "ls", FOLDER)
    return [name.removesuffix(".log") for name in listed.stdout.split() if name.endswith(".log")]


def path(service: str) -> str:
    """Where a program's log is, in its node."""
    return f"{FOLDER}/{service}.log"


async def text(lab: RunningLab, node: str, service: str | None = None, lines: int = LINES) -> str:
    """The logs of a node, each under a heading; or of one of its programs. Raises UsageError."""
    names = await _chosen(lab, node, service)
    first = "" if service is not None else await _console(lab, node, lines)
    return first + (await lab.must(node, *_tail(names, service, lines)) if names else "")


async def following(
    lab: RunningLab, node: str, service: str | None, lines: int
) -> tuple[str, tuple[str, ...]]:
    """The same, to go on with what comes: the first process's words, and a command to run in the node.

    One command prints what was and what comes, so that no line falls in between. Raises UsageError.
    """
    names = await _chosen(lab, node, service)
    if not names:
        raise UsageError(f"{node} has no program whose log could go on")
    first = "" if service is not None else await _console(lab, node, lines)
    return first, _tail(names, service, lines, "-F")


async def _chosen(lab: RunningLab, node: str, service: str | None) -> list[str]:
    names = await services(lab, node)
    if service is None:
        return names
    if service not in names:
        raise UsageError(
            f"{node} has no program {service!r}", hint=f"there are: {', '.join(names) or 'none'}"
        )
    return [service]


def _tail(names: Sequence[str], service: str | None, lines: int, *options: str) -> tuple[str, ...]:
    heads = ("-v",) if service is None else ()
    return ("tail", *options, *heads, "-n", str(lines), *(path(name) for name in names))


async def _console(lab: RunningLab, node: str, lines: int) -> str:
    """What its first process has printed."""
    first = await lab.backend.console(lab.plan.lab, node)
    return "".join(f"{line}\n" for line in first.splitlines()[-lines:])
